// A press that begins on a control which is drawn anew before the button of the mouse is let go ends on its successor.
// Browsers drop such a click, and news come at any moment. It doesn't know what is pressed: keys tell which is which.

const keyed = (event) => event.target.closest?.("[data-key]");
let began = null;

addEventListener("pointerdown", (event) => (began = event.button === 0 ? keyed(event) : null), true);
addEventListener(
  "pointerup",
  (event) => {
    const ended = keyed(event);
    if (began && !began.isConnected && ended?.dataset.key === began.dataset.key) ended.click();
    began = null;
  },
  true,
);
