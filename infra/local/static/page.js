// Polls the widgets, shows what has changed, and handles the buttons of CloudWatch's custom widgets: an element followed
// by <cwdb-action action="call"> calls a function with the JSON inside it.
"use strict";

const EVERY_MS = 1500;
const SAID_MS = 8000;
const dark = matchMedia("(prefers-color-scheme: dark)");
const widgets = [...document.querySelectorAll(".widget")];
const shown = new Map();
const live = document.getElementById("live");
const ask = document.getElementById("ask");
const said = document.getElementById("said");
let timer = 0;
let round = 0;
let saidTimer = 0;

async function refresh() {
  clearTimeout(timer);
  const mine = ++round;
  let problem = "";
  for (const widget of widgets) {
    let html = null;
    try {
      html = await fetchWidget(widget);
    } catch (error) {
      problem ||= String(error.message || error); // the other widgets may still load
    }
    if (mine !== round) return; // a newer refresh has begun
    widget.classList.toggle("stale", html === null);
    if (html !== null) show(widget, html);
  }
  report(problem || "live", !problem);
  timer = setTimeout(refresh, EVERY_MS);
}

async function fetchWidget(widget) {
  const query = new URLSearchParams({
    view: widget.dataset.view,
    lineage: document.body.dataset.lineage,
    theme: dark.matches ? "dark" : "light",
    width: String(Math.max(200, Math.min(4000, widget.clientWidth))),
  });
  const answer = await fetch(`/widget?${query}`, { signal: AbortSignal.timeout(30000) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return text;
}

function show(widget, html) {
  if (shown.get(widget) === html) return;
  const focused = buttons(widget).indexOf(document.activeElement);
  widget.innerHTML = html;
  shown.set(widget, html);
  for (const button of buttons(widget)) {
    button.setAttribute("role", "button");
    button.tabIndex = 0;
  }
  if (focused >= 0) buttons(widget)[focused]?.focus();
}

function buttons(widget) {
  return [...widget.querySelectorAll("cwdb-action")].map((action) => action.previousElementSibling);
}

function report(text, on) {
  if (live.textContent !== text) live.textContent = text;
  live.classList.toggle("on", on);
}

function confirmed(question) {
  document.getElementById("question").textContent = question;
  return new Promise((resolve) => {
    const finish = (answer) => { ask.onclose = null; if (ask.open) ask.close(); resolve(answer); };
    document.getElementById("yes").onclick = () => finish(true);
    document.getElementById("no").onclick = () => finish(false);
    ask.onclose = () => finish(false);
    ask.showModal();
  });
}

async function press(button) {
  const action = button.nextElementSibling;
  if (action?.tagName !== "CWDB-ACTION" || button.getAttribute("aria-disabled") === "true") return;
  const payload = JSON.parse(action.textContent);
  payload.widgetContext = { theme: dark.matches ? "dark" : "light" };
  button.setAttribute("aria-disabled", "true");
  try {
    const question = action.getAttribute("confirmation");
    if (question && !(await confirmed(question))) return;
    say("working");
    const answer = await fetch("/action", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(payload),
    });
    const text = await answer.text();
    if (answer.ok) said.innerHTML = text; else say(text);
    keepSaid();
    await refresh();
  } catch (error) {
    say(String(error.message || error));
    keepSaid();
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

function say(text) {
  said.textContent = text;
  said.hidden = false;
}

function keepSaid() {
  said.hidden = false;
  clearTimeout(saidTimer);
  saidTimer = setTimeout(() => { said.hidden = true; }, SAID_MS);
}

document.querySelector("main").addEventListener("click", (event) => {
  const button = event.target.closest(".btn");
  if (button) { event.preventDefault(); press(button); }
});
document.querySelector("main").addEventListener("keydown", (event) => {
  const button = event.target.closest(".btn");
  if (button && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); press(button); }
});
dark.addEventListener("change", refresh);
let resizeTimer = 0;
addEventListener("resize", () => { clearTimeout(resizeTimer); resizeTimer = setTimeout(refresh, 150); });
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
refresh();
