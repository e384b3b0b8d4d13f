// Keeps the token for this browser tab's address only, and tries it at once.

const form = document.getElementById("signin");
const refused = document.getElementById("refused");
const had = /(?:^|; )shop_token=/.test(document.cookie);
const forget = () => (document.cookie = "shop_token=; Max-Age=0; Path=/; SameSite=Strict");

async function tellTheEnd() {
  const answer = await fetch("/shop/clock", { cache: "no-store" }).catch(() => null);
  const at = answer?.ok ? (await answer.json()).now * 1000 : Date.now();
  const time = new Date(at).toLocaleTimeString("en-GB");
  document.getElementById("why").textContent = `Your access has ended: closed at ${time}. nginx asks Access Bot before every request, and the token no longer works.`;
}

if (sessionStorage.getItem("was_open")) {
  sessionStorage.removeItem("was_open");
  tellTheEnd();
} else if (had) {
  refused.textContent = "This token does not work here: it has ended, was replaced, or is for another system.";
}
forget();

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const token = form.token.value.trim();
  if (!/^[\w.~+/=-]+$/.test(token)) {
    refused.textContent = "This is not a token.";
    return;
  }
  document.cookie = `shop_token=${token}; Path=/; SameSite=Strict`;
  location.assign("/");
});
form.token.focus();
