// What a press does: the question before it, the button that shows it is working, and what to say when it failed.

import { confirmed } from "./dialog.js";
import { announce, h, icon } from "./dom.js";
import { act, Refused } from "./net.js";
import { state } from "./store.js";

const WORDS = {
  operation_timeout: "did not answer within three seconds",
  dispatch_failed: "could not be reached",
  no_options_url: "has no address for options in its manifest",
  invalid_options: "answered with options that Slack would refuse",
  account_inactive: "is not available to deactivated people",
};

/** Why something failed, with Slack's error in brackets. */
export function whyFailed(error, name = state.app?.name || "The app") {
  return WORDS[error] ? `${name} ${WORDS[error]} (${error}).` : `That did not work: ${error}.`;
}

/** Shows a failure beside the current `node` until the next try; it is announced even if the node is gone. */
export function complain(node, words) {
  const key = node.dataset.key;
  if (!node.isConnected) node = key && document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!node) return announce(words);
  hush(node);
  const place = node.closest(".block, .composer, .dialog, .message") || node.parentElement;
  return place.append(h("p", { class: "complaint", role: "alert" }, icon("warn"), words));
}

/** Removes a complaint. */
export function hush(node) {
  const place = node.closest(".block, .composer, .dialog, .message") || node.parentElement;
  for (const old of place.querySelectorAll(":scope > .complaint")) old.remove();
}

/** Does `work` while `node` shows that it is working; a second press meanwhile does nothing. */
export async function working(node, work) {
  if (node.getAttribute("aria-busy") === "true") return undefined;
  hush(node);
  node.setAttribute("aria-busy", "true");
  node.setAttribute("aria-disabled", "true");
  try {
    const done = await work();
    if (done?.error) complain(node, whyFailed(done.error));
    return done;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    complain(node, whyFailed(error.message));
    return { error: error.message };
  } finally {
    node.removeAttribute("aria-busy");
    node.removeAttribute("aria-disabled");
  }
}

/** A press or choice of an element; `more` is what was chosen. Gives undefined when it was not confirmed. */
export async function press(ctx, block, element, node, more = {}) {
  if (element.confirm && !(await confirmed(element.confirm))) return undefined;
  return working(node, async () => {
    announce("Working");
    const values = ctx.form ? { values: ctx.form.values() } : {};
    const ids = { block_id: block.block_id, action_id: element.action_id };
    const done = await act("press", { ...ctx.spot, ...ids, ...values, ...more });
    announce(done.error ? "" : "Done");
    return done;
  });
}
