// The guided tour as a table: who does what and where, what to point at, and how the page shows that it was done.
// guide.js shows the steps.

/** The tour is offered only if the page has this link. */
export const NEEDS = { link: "The protected system" };

/** The command in the texts below, which guide.js replaces by that of the app. */
export const COMMAND = "/access";

const NEWCOMER = "dev";
const has = (message, action) => (message.blocks || []).some((block) => (block.elements || []).some((one) => one.action_id === action));
const says = (message, words) => words.test(message.text || "");

/** The newest message for which `holds`, among those that came or changed since the newcomer asked. */
const newest = (seen, holds) => seen.since("ask").filter(holds).pop();

/** The approval message, whatever was decided since. */
const request = (seen) => seen.since("").filter((one) => says(one, new RegExp(`<@${seen.id(NEWCOMER)}>( asks)? for `))).pop();
const offer = (seen) => newest(seen, (one) => !one.is_ephemeral && has(one, "show_credentials"));
const reminder = (seen) => newest(seen, (one) => says(one, / ends in /));
const fate = (seen) => newest(seen, (one) => says(one, /^(You have|Renewed:|Your access to) /));
const waits = (message) => Boolean(message) && has(message, "approve");
const without = (seen) => !offer(seen) && "Dev has no access yet. If it does not come, go back and let Dev ask for it.";
const button = (message, action) => message && `[data-ts="${message.ts}"] [data-key*="/${action}/"]`;
/** The button for a jump of the clock; nothing if there is no clock, or nothing to jump to. */
const jump = (seen, to) => !seen.shown(`[data-clock="${to}"]:disabled`) && [`[data-clock="${to}"]`, '[data-clock="open"]'].find(seen.shown);
const onDuty = "emi";
/** The messages about an emergency in a channel, of which there is one in each. */
const emergencies = (seen) => seen.since("emergency").filter((one) => says(one, /took Emergency: /) && /^[CG]/.test(one.channel));
/** The mentor's message about a stage of the newcomer's onboarding that can be opened. */
const ready = (seen) => newest(seen, (one) => has(one, "open_stage") && says(one, / is ready for stage /));
const stageOpened = (seen) => seen.since("plan").some((one) => JSON.stringify(one.blocks || "").includes(" was opened by "));
const onboarded = (seen) => seen.since("plan").some((one) => one.channel[0] === "D" && says(one, /^Welcome! Your access for the first weeks is planned/));
const composer = "#main .composer-row";

/**
 * Each step: `who` does it, `place` (a channel, or the app's messages); `say` what to do; `write` what the composer
 * can be filled with; `form` what is said inside a dialog; `point(seen)` a selector of what to use; `done(seen)`
 * whether the page shows it; `did` what is said then; `astray(seen)` words for when it went another way;
 * `ahead(seen)` the step to continue with if there is nothing to do here.
 *
 * `seen` is what this person's window shows: {modal, gate, id(name), began(step), since(step) messages, shown(selector)};
 * `since("")` gives all messages.
 */
export const TOUR = [
  {
    name: "ask",
    title: "A newcomer needs production",
    who: NEWCOMER,
    place: "shop",
    say: "A customer waits for a refund, but the shop's admin page is closed to everybody. Type `/access` into the message field and press Enter.",
    write: "/access",
    form: "Choose “Shop admin, read and refund”, keep 1h, and say why in your own words. Then send it.",
    point: () => composer,
    done: (seen) => seen.modal?.title.text === "Request sent" || seen.since("ask").some((one) => one.is_ephemeral && has(one, "cancel")),
    did: "Dev has asked: what for, how long and why.",
    ahead: (seen) => seen.since("ask").some((one) => one.is_ephemeral && has(one, "show_credentials")) && "show",
    astray: (seen) => seen.modal?.title.text === "Request access" && !seen.modal.submit && "There is nothing that Dev may ask for. Look at roles.toml.",
  },
  {
    name: "approve",
    title: "A manager decides",
    who: "ben",
    place: "access-approvals",
    say: "Everything needed to decide is in one message. Read it, then press *Approve*.",
    form: "Close this window: the tour continues behind it.",
    point: (seen) => button(request(seen), "approve"),
    done: (seen) => seen.since("ask").includes(request(seen)) && says(request(seen), /was approved\.$/),
    did: "Ben approved. The message now says who decided, and when.",
    astray: (seen) => !waits(request(seen)) && (seen.since("ask").includes(request(seen)) ? "This request was not approved, and nothing was opened. Go back and let Dev ask again." : "Nothing of Dev's waits for a decision yet. If nothing comes, go back and let Dev ask."),
  },
  {
    name: "show",
    title: "Access, for an hour",
    who: NEWCOMER,
    place: "app",
    say: "Dev's access has started. Press *Show credentials*.",
    point: (seen) => button(offer(seen), "show_credentials"),
    done: (seen) => seen.modal?.title.text === "Credentials" && JSON.stringify(seen.modal.blocks).includes("rich_text_preformatted"),
    did: "Dev has a token for programs, and a link for a browser that works once. No copy of them is kept.",
    astray: without,
  },
  {
    name: "enter",
    title: "The protected system opens",
    who: NEWCOMER,
    place: "app",
    say: "A real nginx guards the shop's admin page. Press *Show credentials* again, then *Open in browser*.",
    form: "Press *Open in browser*. Then press *Continue* in the new tab, and come back.",
    point: (seen) => (seen.modal ? '.dialog [data-key*="/open_in_browser/"]' : button(offer(seen), "show_credentials")),
    done: (seen) => seen.gate.open && seen.gate.who === seen.id(NEWCOMER) && seen.gate.at >= seen.began("ask"),
    did: "The gate let Dev in. Leave that tab open.",
  },
  {
    name: "renew",
    title: "Before the end, a reminder",
    who: NEWCOMER,
    place: "app",
    say: (seen) =>
      reminder(seen)
        ? "The time is nearly over, and Dev is not finished. Press *Renew*: one press, and nobody has to be asked again."
        : jump(seen, "reminder")
          ? "Nobody wants to wait for half an hour. Press the clock above, then *Next reminder*."
          : "More time takes one press, within the limits of the role. Press *Renew*.",
    point: (seen) => button(reminder(seen), "renew") || jump(seen, "reminder") || button(offer(seen), "renew"),
    done: (seen) => seen.since("renew").some((one) => says(one, /^Renewed: /)),
    did: "Renewed, with a new end.",
    astray: without,
  },
  {
    name: "end",
    title: "It ends automatically",
    who: NEWCOMER,
    place: "app",
    say: (seen) =>
      jump(seen, "end")
        ? "Nobody has to remember to take it away. Press the clock above, then *The end*, and look at the protected tab: it is closed."
        : "It would end automatically, on time. Press *I'm done* to give it back now, then look at the protected tab: it is closed.",
    form: "Give it back: the protected system closes at once.",
    point: (seen) => jump(seen, "end") || button(offer(seen), "done"),
    done: (seen) => Boolean(fate(seen)) && says(fate(seen), / has ended\./),
    did: "Ended. The token no longer works.",
    astray: without,
  },
  {
    name: "emergency",
    title: "An outage, and nobody to ask",
    who: onDuty,
    place: "shop",
    say: "Checkout is down, and no approver answers. Emi is on call, so she may take the role at once. Type `/access emergency shop-admin Checkout is down` and press Enter.",
    write: "/access emergency shop-admin Checkout is down",
    form: "Close this window: the tour continues behind it.",
    point: () => composer,
    done: (seen) => seen.since("emergency").some((one) => says(one, /^(Emergency: .* starts now|You have (Emergency: |shop-admin already))/)),
    did: "Emi has access within a second. All leads, the approvers and the security channel know of it.",
    astray: (seen) => seen.since("emergency").some((one) => says(one, /waits for one press/)) && "An earlier emergency of Emi's is not reviewed yet, so this one waits. Go on: Chiara signs the review.",
  },
  {
    name: "review",
    title: "A lead reviews it",
    who: "chiara",
    place: "access-approvals",
    say: "Access came first, so a review follows: the leads are reminded until one of them signs it. Press *Sign review*.",
    form: "Write what you conclude, and press *Sign*. That ends the access, too.",
    point: () => '#main [data-key*="/sign_review/"]',
    done: (seen) => emergencies(seen).length > 0 && !emergencies(seen).some((one) => has(one, "sign_review")),
    did: "Signed: the message has the conclusion, and the access is closed.",
    astray: (seen) => !emergencies(seen).length && !seen.shown('#main [data-key*="/sign_review/"]') && "There is no emergency to review. Go back and let Emi take the role.",
  },
  {
    name: "plan",
    title: "The first weeks, without tickets",
    who: "chiara",
    place: "access-approvals",
    say: "Dev will need more than one role. A lead plans the first weeks once, stage by stage. Type `/access onboard` and press Enter.",
    write: "/access onboard",
    form: "Choose Dev as newcomer, “New engineer” as bundle and Ben as mentor. Read the plan below, then press *Start*.",
    point: () => composer,
    done: (seen) => seen.modal?.title.text === "Onboarding" && Boolean(seen.modal.blocks?.length > 1),
    did: "Planned: Dev has the first role already, and Ben is the mentor.",
    astray: (seen) => seen.shown(".dialog [aria-invalid=true]") && "Does Dev have an onboarding from before? Close the form, type /access onboard list and press End. Then plan it again.",
  },
  {
    name: "days",
    title: "Days pass, and Dev works",
    who: NEWCOMER,
    place: "app",
    say: "Dev was welcomed: the roles, the mentor, and what comes next. Press the clock above, then *Next reminder*: nearly three days pass.",
    form: "Close this window: the tour continues behind it.",
    point: (seen) => jump(seen, "reminder"),
    done: (seen) => seen.since("days").some((one) => says(one, /reports.* ends in /i)),
    did: "Three days later. The next stage waits for the mentor.",
    astray: (seen) => !onboarded(seen) && "Dev has no onboarding yet. If no message comes, go back and let Chiara plan it.",
  },
  {
    name: "open",
    title: "The mentor opens a stage",
    who: "ben",
    place: "app",
    say: (seen) =>
      ready(seen)
        ? "Does Dev know enough to give refunds? Ben, the mentor, decides. Press *Open stage*."
        : "A message asks Ben, the mentor, within ten seconds. If none comes, go back and let the days pass.",
    point: (seen) => button(ready(seen), "open_stage"),
    done: stageOpened,
    did: "Dev has the shop for four hours, and nobody had to ask for it.",
  },
  {
    name: "audit",
    title: "Every step is on record",
    who: "chiara",
    place: "access-approvals",
    say: "A lead asks the log what happened. Type `/access audit @dev` and press Enter.",
    write: "/access audit @dev",
    form: "Close this window: the tour continues behind it.",
    point: () => composer,
    done: (seen) => seen.since("audit").some((one) => one.is_ephemeral && (one.blocks || []).some((block) => /table$/.test(block.type) && JSON.stringify(block).includes("grant:access:ended"))),
    did: "Asked, approved, shown, renewed, ended, onboarded: who, when and why, in a log that reveals any change.",
  },
];

/** The words at the start and at the end. */
export const WORDS = {
  offer: {
    title: "New here? See everything in twelve steps",
    say: "You play everybody: a newcomer asks for access, a manager approves, it opens a real page, and it ends automatically. Then an outage needs access at once, and a plan covers the newcomer's first weeks. It takes about five minutes.",
  },
  end: {
    title: "You have seen everything",
    say: "Keep trying things: `/access help` lists the commands, a second window lets you be two people at once, and the *Inspector* shows every call.",
  },
};
