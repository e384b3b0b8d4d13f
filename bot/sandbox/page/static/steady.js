// A press on a control that is drawn again before the mouse button is released ends on its successor.
// Browsers drop such a click, and changes come at any moment. Keys identify the controls.

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
