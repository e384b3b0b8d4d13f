// Shows the orders while nginx serves them. nginx asks the bot at every request.

const $ = (id) => document.getElementById(id);
let until = 0;
let ahead = 0;

/** The workspace beside this page may be ahead of the browser's clock. */
async function askTheTime() {
  const answer = await fetch("/shop/clock", { cache: "no-store" });
  if (answer.ok) ahead = (await answer.json()).now * 1000 - Date.now();
}

function left() {
  const seconds = Math.max(0, Math.round((until - Date.now() - ahead) / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  $("left").textContent = until ? `${hours ? `${hours} h ` : ""}${minutes ? `${minutes} min ` : ""}${hours ? "" : `${seconds % 60} s `}left` : "";
}

function draw(orders) {
  const rows = orders.map((order) => {
    const row = document.createElement("tr");
    for (const name of ["order", "customer", "amount", "state"]) {
      const cell = document.createElement("td");
      cell.textContent = order[name];
      row.append(cell);
    }
    return row;
  });
  $("orders").replaceChildren(...rows);
}

async function ask() {
  const answer = await fetch("/orders.json", { cache: "no-store" });
  if (answer.status === 401 || answer.status === 403) {
    location.reload(); // nginx then shows the bot's page
    return;
  }
  if (!answer.ok) return;
  $("user").textContent = decodeURIComponent(answer.headers.get("X-Access-User"));
  $("role").textContent = answer.headers.get("X-Access-Role");
  until = Date.parse(answer.headers.get("X-Access-Expires"));
  await askTheTime();
  const orders = await answer.json();
  if (!$("orders").children.length) draw(orders);
  left();
}

ask();
setInterval(() => ask().catch(() => {}), 1000);
