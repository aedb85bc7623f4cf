"use strict";
const $ = (selector, root = document) => root.querySelector(selector);
const el = (tag, properties = {}, ...children) => { const e = Object.assign(document.createElement(tag), properties); e.append(...children); return e; };
const ask = async (path, body) => {
  const answer = await fetch(path, body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.message || answer.statusText);
  return value;
};
const clock = new Intl.DateTimeFormat("ja-JP", { timeZone: "Asia/Tokyo", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" });

/* Widgets live in a shadow root: their style cannot reach the page, nor the page's them. */
const WIDGET_STYLE = `
:host { display: block; height: 100%; }
.root { font-family: "Hiragino Kaku Gothic ProN", "Noto Sans JP", "Noto Sans CJK JP", Meiryo, sans-serif; font-size: 13px; line-height: 1.6; color: #1f2a28; height: 100%; }
table { border-collapse: collapse; } th, td { padding: 4px 10px; text-align: left; } thead th { color: #6b7876; font-weight: 500; border-bottom: 1px solid #e1e6e4; }
.text h1 { font-size: 19px; margin: .1em 0 .3em; } .text h2 { font-size: 16px; margin: .2em 0; } .text p { margin: .2em 0; } .text code { background: #eef2f0; padding: 0 4px; border-radius: 3px; }
.text table td, .text table th { border: 1px solid #e1e6e4; }
.btn { display: inline-block; border: 1px solid #9db5ae; border-radius: 6px; padding: 3px 14px; color: #2f7d6b; text-decoration: none; cursor: pointer; background: #fff; }
.btn-primary { background: #2f7d6b; border-color: #2f7d6b; color: #fff; }
a { color: #2f7d6b; cursor: pointer; } input, select, textarea { font: inherit; border: 1px solid #cfd8d5; border-radius: 5px; padding: 2px 8px; }
svg.chart { width: 100%; height: calc(100% - 26px); min-height: 90px; display: block; overflow: visible; }
.grid { stroke: #e8edeb; } .tick { font-size: 10.5px; fill: #6b7876; } .chart .empty { font-size: 13px; fill: #9aa5a2; text-anchor: middle; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 2px 0 0; padding: 0; font-size: 12px; color: #52605d; } .legend i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 5px; }
.singles { display: flex; flex-wrap: wrap; gap: 10px 34px; align-items: center; height: 100%; } .single b { display: block; font-size: 30px; line-height: 1.15; font-weight: 600; } .single span { color: #6b7876; font-size: 12px; }
.alarms { list-style: none; padding: 0; margin: 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(260px, 1fr)); gap: 4px 14px; } .alarms li { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-size: 12px; } .alarms b { display: inline-block; min-width: 74px; margin-right: 8px; border-radius: 4px; padding: 0 8px; text-align: center; background: #eef2f0; color: #52605d; font-weight: 500; } .state-ok b { background: #e4f0ec; color: #2f7d6b; } .state-alarm b { background: #fbece5; color: #b4562f; font-weight: 700; }
.problem { color: #b4562f; } .problem pre, .json { white-space: pre-wrap; font-size: 12px; } .note { color: #6b7876; } cwdb-action { display: none; }`;

function put(host, html, wire) {
  const root = host.shadowRoot || host.attachShadow({ mode: "open" });
  root.innerHTML = `<style>${WIDGET_STYLE}</style><div class="root">${html}</div>`;
  if (wire) wire(root);
}

/* --- dashboard ------------------------------------------------------------------------------------------------ */
const RANGES = [["1時間", 3600], ["3時間", 10800], ["12時間", 43200], ["1日", 86400], ["1週間", 604800], ["1か月", 2592000], ["3か月", 7776000]];
const REFRESH = [["しない", 0], ["10秒", 10], ["1分", 60], ["5分", 300], ["15分", 900]];
const board = { name: "", widgets: [], seconds: 10800, timer: 0, variables: {} };
const api = (number, call = "") => `/api/dashboards/${encodeURIComponent(board.name)}/widgets/${number}${call}`;

function popup(html, number) {
  const dialog = $("#popup");
  const host = el("div");
  $(".content", dialog).replaceChildren(host);
  put(host, html, (root) => wireActions(root, number, host));
  if (!dialog.open) dialog.showModal();
}

function formsIn(root) {
  const values = {};
  for (const field of root.querySelectorAll("input[name], select[name], textarea[name]")) {
    if (["checkbox", "radio"].includes(field.type) && !field.checked) { if (!(field.name in values) && field.type === "checkbox") values[field.name] = false; continue; }
    values[field.name] = field.type === "checkbox" ? true : field.value;
  }
  return values;
}

/* <cwdb-action> acts when the element before it is clicked, as in the CloudWatch console. */
function wireActions(root, number, host) {
  for (const form of root.querySelectorAll("form")) form.addEventListener("submit", (event) => event.preventDefault());
  for (const action of root.querySelectorAll("cwdb-action")) {
    const trigger = action.previousElementSibling;
    if (!trigger) continue;
    const kind = (action.getAttribute("action") || "html").toLowerCase();
    const display = (action.getAttribute("display") || (kind === "html" ? "popup" : "widget")).toLowerCase();
    trigger.addEventListener(action.getAttribute("event") || "click", async (event) => {
      event.preventDefault();
      const question = action.getAttribute("confirmation");
      if (question && !window.confirm(question)) return;
      try {
        let html = action.innerHTML;
        if (kind === "call") {
          const params = action.textContent.trim() ? JSON.parse(action.textContent) : {};
          const inside = host.getBoundingClientRect();
          html = (await ask(api(number, "/call"), { endpoint: action.getAttribute("endpoint"), params, forms: formsIn(root), variables: board.variables, seconds: board.seconds, width: Math.round(inside.width), height: Math.round(inside.height) })).html;
        }
        if (display === "popup") popup(html, number);
        else put(host, html, (inner) => wireActions(inner, number, host));
      } catch (error) { popup(`<div class="problem"><b>操作できませんでした</b><pre></pre></div>`, number); $(".content > div", $("#popup")).shadowRoot.querySelector("pre").textContent = error.message; }
    });
  }
}

async function drawWidget(number) {
  const box = $(`#w${number}`), host = $(".host", box), inside = $(".inside", box);
  box.classList.add("busy");
  try {
    const drawn = await ask(api(number), { variables: board.variables, seconds: board.seconds, width: inside.clientWidth - 28, height: inside.clientHeight - 14 });
    put(host, drawn.html, (root) => wireActions(root, number, host));
  } catch (error) {
    put(host, '<div class="problem"><pre></pre></div>'); host.shadowRoot.querySelector("pre").textContent = error.message;
  } finally { box.classList.remove("busy"); }
}

/* Dashboard variables: an input, a list or a choice above the widgets, as in the console. */
function showVariables(variables) {
  const change = (id, value) => { board.variables[id] = value; redraw(() => true); };
  $("#variables").replaceChildren(...variables.filter((variable) => variable.visible !== false).map((variable) => {
    const initial = board.variables[variable.id] ?? variable.defaultValue ?? "";
    let field;
    if (variable.inputType === "input" || !variable.values?.length) field = el("input", { value: initial, onchange: (event) => change(variable.id, event.target.value) });
    else {
      field = el("select", { onchange: (event) => change(variable.id, event.target.value) }, ...variable.values.map((choice) => el("option", { value: choice.value, textContent: choice.label || choice.value })));
      field.value = initial;
    }
    return el("label", {}, variable.label || variable.id, " ", field);
  }));
}

async function showBoard(name) {
  board.name = name;
  const body = await ask(`/api/dashboards/${encodeURIComponent(name)}`);
  board.widgets = body.widgets;
  showVariables(body.variables || []);
  const grid = $("#grid");
  grid.replaceChildren(...body.widgets.map((widget, number) => {
    const title = widget.properties?.title;
    const box = el("article", { id: `w${number}`, className: `widget${widget.type === "text" && widget.properties.background === "transparent" ? " bare" : ""}` });
    box.style.gridArea = `${(widget.y ?? 0) + 1} / ${(widget.x ?? 0) + 1} / span ${widget.height ?? 6} / span ${widget.width ?? 6}`;
    if (title) {
      const heading = el("h2", {}, title);
      if (widget.type === "custom") heading.append(el("button", { type: "button", title: "このウィジェットについて", textContent: "ⓘ", onclick: async () => popup(`<div class="text">${(await ask(api(number, "/call"), { endpoint: widget.properties.endpoint, describe: true })).html}</div>`, number) }));
      box.append(heading);
    }
    box.append(el("div", { className: "inside" }, el("div", { className: "host", style: "height:100%" })));
    return box;
  }));
  redraw(() => true);
}
const redraw = (wanted) => board.widgets.forEach((widget, number) => wanted(widget) && drawWidget(number));
const updates = (what) => (widget) => widget.type !== "custom" || (widget.properties.updateOn?.[what] ?? true);

async function dashboardTab(wanted) {
  const names = await ask("/api/dashboards");
  if (!names.length) { $("#grid").replaceChildren(el("p", { className: "empty", textContent: "ダッシュボードはまだありません。", style: "grid-column:1/-1" })); return; }
  $("#board").replaceChildren(...names.map((name) => el("option", { value: name, textContent: name })));
  const name = names.includes(wanted) ? wanted : names[0];
  $("#board").value = name;
  $("#ranges").replaceChildren(...RANGES.map(([label, seconds]) => el("button", { type: "button", textContent: label, className: seconds === board.seconds ? "on" : "", onclick(event) {
    board.seconds = seconds;
    for (const button of $("#ranges").children) button.classList.toggle("on", button === event.target);
    redraw(updates("timeRange"));
  } })));
  $("#refresh").replaceChildren(...REFRESH.map(([label, seconds]) => el("option", { value: seconds, textContent: label })));
  $("#refresh").onchange = (event) => { clearInterval(board.timer); if (+event.target.value) board.timer = setInterval(() => redraw(updates("refresh")), event.target.value * 1000); };
  $("#reload").onclick = () => redraw(updates("refresh"));
  $("#board").onchange = (event) => { history.replaceState(null, "", `/dashboard/${encodeURIComponent(event.target.value)}`); showBoard(event.target.value); };
  await showBoard(name);
}

/* --- outbox --------------------------------------------------------------------------------------------------- */
const EVENTS = { Send: "受付", Delivery: "配信", Bounce: "不達", Complaint: "苦情", Open: "開封", Click: "クリック" };
const chips = (types) => el("div", { className: "chips" }, ...Object.keys(EVENTS).filter((type) => types.includes(type)).map((type) => {
  const times = types.filter((t) => t === type).length;
  return el("span", { className: `chip ${type}`, textContent: EVENTS[type] + (times > 1 ? ` ${times}` : "") });
}));
let selected = "", shownTab = "html";

async function listMails() {
  let found;
  try { found = await ask(`/api/outbox?q=${encodeURIComponent($("#search").value)}`); $("#lost").hidden = true; }
  catch { $("#lost").hidden = false; return; }
  $("#mail-count").textContent = found.count || "";
  $("#mails").replaceChildren(...found.messages.map((mail) => el("li", {}, el("a", { href: `/outbox/${mail.message_id}`, className: mail.message_id === selected ? "on" : "", onclick(event) { event.preventDefault(); openMail(mail.message_id); } },
    el("span", { className: "subject", textContent: mail.subject || "（件名なし）" }),
    el("div", { className: "line" }, el("span", { textContent: mail.to.join(", ") }), el("time", { textContent: clock.format(new Date(mail.accepted_at)) })),
    chips(mail.events)))));
  if (!found.messages.length) $("#mails").replaceChildren(el("li", { className: "empty", textContent: "メールはありません。", style: "padding:20px 16px" }));
}

const rows = (pairs) => el("table", {}, el("tbody", {}, ...pairs.map(([name, value]) => el("tr", {}, el("th", { textContent: name }), el("td", { textContent: value })))));
const SHEETS = {
  html: ["HTML", (mail) => { const frame = el("iframe", { title: "メール本文", src: `/mail/${mail.message_id}` }); frame.sandbox = "allow-popups allow-popups-to-escape-sandbox"; return frame; }],
  text: ["テキスト", (mail) => el("pre", { textContent: mail.text || "（テキスト部はありません）" })],
  headers: ["ヘッダー", (mail) => rows([["From", mail.source], ["To", mail.to.join(", ")], ["Reply-To", mail.reply_to.join(", ")], ["Subject", mail.subject], ...mail.headers.map((h) => [h.name, h.value])].filter(([, v]) => v))],
  tags: ["タグ", (mail) => rows([["設定セット", mail.configuration_set], ["送信した役割", mail.caller], ...Object.entries(mail.tags)])],
  events: ["経過", (mail) => rows(mail.events.map((e) => [clock.format(new Date(e.at)), `${EVENTS[e.type] || e.type}　${e.detail.link || e.detail.bounceSubType || ""}${e.published ? "" : "（イベントの送り先なし）"}`]))],
};

async function openMail(id) {
  selected = id;
  history.replaceState(null, "", `/outbox/${id}`);
  const mail = await ask(`/api/outbox/${id}`);
  const sheet = el("div", { className: "sheet" });
  const show = (key) => { shownTab = key; sheet.replaceChildren(SHEETS[key][1](mail)); for (const button of tabs.children) button.classList.toggle("on", button.dataset.key === key); };
  const tabs = el("div", { className: "tabs" }, ...Object.entries(SHEETS).map(([key, [label]]) => { const button = el("button", { type: "button", textContent: label, onclick: async () => { if (key === "events") Object.assign(mail, await ask(`/api/outbox/${id}`)); show(key); } }); button.dataset.key = key; return button; }));
  const facts = el("dl", { className: "facts" });
  for (const [name, value] of [["差出人", mail.source], ["宛先", mail.to.join(", ")], ["受付", clock.format(new Date(mail.accepted_at))], ["ID", mail.message_id]]) facts.append(el("dt", { textContent: name }), el("dd", { textContent: value }));
  $("#mail").replaceChildren(el("h1", { textContent: mail.subject || "（件名なし）" }), facts, tabs, sheet);
  show(shownTab === "html" && !mail.html ? "text" : shownTab);
  for (const link of document.querySelectorAll("#mails a")) link.classList.toggle("on", link.getAttribute("href") === `/outbox/${id}`);
  setTimeout(listMails, 400);
}

/* --- start ---------------------------------------------------------------------------------------------------- */
$("#popup .close").onclick = () => $("#popup").close();
const [, tab = "dashboard", item = ""] = location.pathname.split("/");
const current = tab === "outbox" ? "outbox" : "dashboard";
$(`#${current}`).hidden = false;
$(`nav [data-tab=${current}]`).classList.add("on");
let typing = 0;
$("#search").oninput = () => { clearTimeout(typing); typing = setTimeout(listMails, 200); };
listMails();
setInterval(listMails, 5000);
if (current === "dashboard") dashboardTab(decodeURIComponent(item)).catch(() => { $("#lost").hidden = false; });
else if (item) openMail(decodeURIComponent(item));
