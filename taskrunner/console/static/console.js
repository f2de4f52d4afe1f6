// What the console does beside links and forms: live parts, keys, and the ticket of a sign-in.
"use strict";

// Pieces of pages are the service's own HTML, in which all that others say is escaped; scripts and
// their addresses are never made of texts.
if (window.trustedTypes && trustedTypes.createPolicy) {
  trustedTypes.createPolicy("default", { createHTML: (text) => text });
}

function typing(target) {
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}

// The ticket stands behind the # of the address, which no server is told.
function enterWithTicket() {
  const form = document.getElementById("enter");
  const ticket = location.hash.slice(1);
  if (!form || !ticket) return;
  history.replaceState(null, "", location.pathname + location.search);
  form.elements.ticket.value = ticket;
  form.submit();
}

// One place of a grid takes the focus; arrows move it.
function gridCells(grid) {
  return [...grid.tBodies[0].rows].map((row) => [...row.querySelectorAll("td > .cell")]);
}

// What a cell says to readers it shows to whoever points at it: said once, a grid is half as large.
function pointed(event) {
  const cell = event.target.closest(".cell[aria-label], .square[aria-label]");
  if (cell && !cell.title) cell.title = cell.ariaLabel;
}

function roveGrid(grid) {
  const all = gridCells(grid).flat().filter((cell) => cell.href);
  all.forEach((cell, index) => { cell.tabIndex = index === 0 ? 0 : -1; });
}

function moveInGrid(event) {
  const cell = event.target.closest(".cell[href]");
  const grid = cell && cell.closest("[data-grid]");
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!grid || !step) return false;
  const rows = gridCells(grid);
  let y = rows.findIndex((row) => row.includes(cell));
  let x = rows[y].indexOf(cell);
  for (;;) {
    y += step[0];
    x += step[1];
    const next = rows[y] && rows[y][x];
    if (!next) return true;
    if (next.href) {
      cell.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
      return true;
    }
  }
}

// A cell of the grid is looked at beside it; who opens it in a tab of its own gets its page.
function cellOf(event) {
  return event.target.closest("[data-grid] td > .cell[href]:not([data-group])");
}

function idOf(cell) {
  return decodeURIComponent(cell.pathname.split("/").pop());
}

async function loadBeside(address) {
  const panel = document.getElementById("panel");
  let answer = null;
  try {
    answer = await fetch(`${address}/panel`, { headers: { "HX-Request": "true" } });
  } catch { /* the service is away */ }
  if (!answer || !answer.ok) { stale(true); return false; }
  panel.innerHTML = await answer.text();
  panel.dataset.of = address;
  tellLocalTimes();
  return true;
}

async function showBeside(cell) {
  if (!await loadBeside(cell.getAttribute("href"))) return;
  const panel = document.getElementById("panel");
  panel.hidden = false;
  document.getElementById("beside").classList.add("beside");
  panel.focus();
  nameInAddress("cell", idOf(cell));
}

// What somebody is at is left alone.
function refreshBeside() {
  const panel = document.getElementById("panel");
  if (panel && !panel.hidden && !panel.querySelector(":focus, details[open]")) loadBeside(besideOf(panel));
}

function besideOf(panel) {
  const link = panel.querySelector("a.button");
  return panel.dataset.of || (link && link.getAttribute("href"));
}

function nameInAddress(name, value) {
  const address = new URL(location.href);
  if (value) address.searchParams.set(name, value); else address.searchParams.delete(name);
  history.replaceState(null, "", address);
}

function hideBeside() {
  const panel = document.getElementById("panel");
  if (!panel || panel.hidden) return false;
  const of = besideOf(panel);
  panel.hidden = true;
  panel.replaceChildren();
  document.getElementById("beside").classList.remove("beside");
  nameInAddress("cell", "");
  const cell = of && document.querySelector(`[data-grid] .cell[href="${CSS.escape(of)}"]`);
  if (cell) cell.focus();
  return true;
}

// Cells that are marked, by the ids of their instances: what a rerun is asked for.
const marked = new Set();

function tellMarked() {
  const form = document.getElementById("marked");
  if (!form) return;
  document.querySelectorAll("[data-grid] td > .cell[href]:not([data-group])").forEach((cell) => {
    const place = cell.parentElement;
    if (marked.has(idOf(cell))) place.setAttribute("aria-selected", "true"); else place.removeAttribute("aria-selected");
  });
  form.hidden = marked.size === 0;
  form.querySelector("[role=status]").textContent = `${marked.size} ${marked.size === 1 ? "cell" : "cells"} marked`;
  form.querySelectorAll("input[name=ids]").forEach((input) => input.remove());
  for (const id of marked) {
    const input = document.createElement("input");
    Object.assign(input, { type: "hidden", name: "ids", value: id });
    form.append(input);
  }
}

function pressedInGrid(event) {
  const form = document.getElementById("marked");
  const cell = cellOf(event);
  if (!form || (event.key !== " " && event.key !== "r")) return false;
  if (event.key === " ") {
    if (!cell) return false;
    if (!marked.delete(idOf(cell))) marked.add(idOf(cell));
    tellMarked();
    return true;
  }
  if (cell && marked.size === 0) { marked.add(idOf(cell)); tellMarked(); }
  if (marked.size) form.requestSubmit();
  return marked.size > 0;
}

function clicked(event) {
  const cell = cellOf(event);
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (cell && plain && document.getElementById("panel")) {
    event.preventDefault();
    showBeside(cell);
  } else if (plain && event.target.closest("#panel [data-close]")) {
    event.preventDefault();
    hideBeside();
  } else if (event.target.closest("[data-unmark]")) {
    marked.clear();
    tellMarked();
  }
}

function moveInList(forward) {
  const rows = [...document.querySelectorAll("[data-row]")];
  const at = rows.indexOf(document.activeElement);
  const next = rows[at === -1 ? (forward ? 0 : rows.length - 1) : at + (forward ? 1 : -1)];
  if (next) next.focus();
}

let goTo = false;

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (moveInGrid(event) || pressedInGrid(event)) { event.preventDefault(); return; }
  const was = goTo;
  goTo = false;
  if (was) {
    const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); link.click(); }
  } else if (event.key === "g") {
    goTo = true;
  } else if (event.key === "/") {
    const search = document.querySelector("[data-search]");
    if (search) { event.preventDefault(); search.focus(); }
  } else if (event.key === "j" || event.key === "k") {
    moveInList(event.key === "j");
  } else if (event.key === "o" && document.activeElement.matches("[data-row]")) {
    document.activeElement.click();
  } else if (event.key === "Escape") {
    hideBeside();
  } else if (event.key === "?") {
    const help = document.getElementById("keys");
    if (help) help.showModal();
  }
}

// A live part is asked for again when the service says that something has changed. What the visitor
// has done to it meanwhile stays: what has the focus, what is chosen, open or scrolled.
let kept = null;

function keepState() {
  const live = document.getElementById("live");
  if (!live) return;
  const focused = live.contains(document.activeElement) ? document.activeElement : null;
  kept = {
    href: focused && focused.getAttribute("href"),
    chosen: [...live.querySelectorAll("input:checked")].map((input) => input.value),
    open: [...live.querySelectorAll("details[open] > summary")].map((line) => line.textContent),
    scrolled: [...live.querySelectorAll(".scroll, .log")].map((box) => [box.scrollLeft, box.scrollTop, isAtEnd(box)]),
  };
}

function giveBackState() {
  const live = document.getElementById("live");
  if (!live || !kept) return;
  for (const input of live.querySelectorAll("input[type=checkbox]")) {
    input.checked = kept.chosen.includes(input.value);
  }
  for (const line of live.querySelectorAll("details > summary")) {
    if (kept.open.includes(line.textContent)) line.parentElement.open = true;
  }
  live.querySelectorAll(".scroll, .log").forEach((box, index) => {
    const [left, top, atEnd] = kept.scrolled[index] || [0, 0, true];
    box.scrollLeft = left;
    box.scrollTop = atEnd && box.matches(".log.end") ? box.scrollHeight : top;
  });
  const again = kept.href && live.querySelector(`a[href="${CSS.escape(kept.href)}"]`);
  if (again) {
    const grid = again.closest("[data-grid]");
    if (grid) {
      grid.querySelectorAll(".cell[href]").forEach((cell) => { cell.tabIndex = -1; });
      again.tabIndex = 0;
    }
    again.focus({ preventScroll: true });
  }
  kept = null;
}

// The visitor wants no page to change by itself.
function isStill() {
  return "still" in document.documentElement.dataset;
}

// Times have the clock of this browser beside UTC for whoever points at them.
function tellLocalTimes() {
  document.querySelectorAll("time[datetime]:not([data-told])").forEach((time) => {
    time.title += `, here ${new Date(time.dateTime).toLocaleString()}`;
    time.dataset.told = "";
  });
  const place = document.querySelector("[data-own-zone]");
  if (place) place.textContent = `(this browser has ${Intl.DateTimeFormat().resolvedOptions().timeZone})`;
}

// The line that the address names stays marked when its part of the page comes anew: a browser
// looks for it only once.
function markLine() {
  const line = location.hash && document.getElementById(location.hash.slice(1));
  document.querySelectorAll(".line.named").forEach((other) => { other.classList.remove("named"); });
  if (line && line.matches(".line")) line.classList.add("named");
}

// A command has a button that copies it, where the browser lets a page do so.
function offerCopies() {
  if (!navigator.clipboard) return;
  document.querySelectorAll("pre.command:not([data-copies])").forEach((command) => {
    const text = command.textContent;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    command.dataset.copies = "";
    command.prepend(button);
  });
}

function begin() {
  offerCopies();
  markLine();
  tellLocalTimes();
  document.querySelectorAll("[data-grid]").forEach(roveGrid);
  tellMarked();
  follow();
}

// A log that grows is asked for anew while its end is looked at: not while somebody reads further
// up or has chosen some of it to copy, and not in a tab that nobody sees.
let following = null;

function isAtEnd(box) {
  return box.scrollTop + box.clientHeight >= box.scrollHeight - 4;
}

function isReading(live) {
  const box = live.querySelector(".log.end");
  const chosen = document.getSelection();
  return document.hidden || (box && !isAtEnd(box)) || (!chosen.isCollapsed && live.contains(chosen.anchorNode));
}

function follow() {
  clearTimeout(following);
  const live = document.getElementById("live");
  const growing = live && live.querySelector("[data-follow]");
  if (!growing || isStill()) return;
  following = setTimeout(() => {
    if (isReading(live)) follow(); else htmx.trigger(live, "changed");
  }, 1000 * growing.dataset.follow);
}

// What is done in portions goes on by itself; whoever leaves the page stops it.
function goOn() {
  const form = document.querySelector("form[data-goes-on]");
  if (form) setTimeout(() => form.requestSubmit(), 300);
}

// From what is wrong to its place in the text that is edited.
function toPlace(event) {
  const link = event.target.closest("a[data-line]");
  const box = document.querySelector(".editor textarea");
  if (!link || !box) return;
  event.preventDefault();
  const lines = box.value.split("\n");
  const before = lines.slice(0, link.dataset.line - 1).reduce((sum, line) => sum + line.length + 1, 0);
  const at = before + Number(link.dataset.column) - 1;
  box.focus();
  box.setSelectionRange(at, at);
  box.scrollTop = box.scrollHeight * (link.dataset.line / lines.length) - box.clientHeight / 2;
}

function toEnds() {
  document.querySelectorAll(".log.end").forEach((box) => { box.scrollTop = box.scrollHeight; });
}

// The theme changes in place: what has been typed into the page's forms stays.
function switchTheme(event) {
  const form = event.target.closest("[data-switch=theme]");
  if (!form) return;
  event.preventDefault();
  const theme = event.submitter.value;
  fetch(form.action, { method: "POST", redirect: "manual", body: new URLSearchParams({ theme, to: "/" }) });
  document.documentElement.dataset.theme = theme;
}

// A browser holds few connections to a host: a tab that nobody sees holds none of them.
let stream = null;
// Whether the page has been told of changes before: else it was loaded just now.
let seen = false;

function stale(isStale) {
  document.getElementById("stale").hidden = !isStale;
}

function listen() {
  const place = document.querySelector("[data-live]");
  if (!place || stream || document.hidden || isStill()) return;
  const fresh = seen ? "" : (place.dataset.live.includes("?") ? "&" : "?") + "fresh=1";
  seen = true;
  stream = new EventSource(place.dataset.live + fresh);
  stream.addEventListener("changed", () => {
    const live = document.getElementById("live");
    // A log that somebody reads is left alone: it is looked at again when they are at its end.
    if (!live.querySelector("[data-follow]") || !isReading(live)) htmx.trigger(live, "changed");
    refreshBeside();
  });
  stream.addEventListener("over", () => { unlisten(); stale(true); });
}

function unlisten() {
  if (stream) stream.close();
  stream = null;
}

// What is pressed twice is done once.
function submitted(event) {
  if (event.defaultPrevented) return;
  const buttons = event.target.querySelectorAll("button");
  setTimeout(() => { buttons.forEach((button) => { button.disabled = true; }); }, 0);
}

document.addEventListener("keydown", pressed);
document.addEventListener("mouseover", pointed);
document.addEventListener("click", toPlace);
document.addEventListener("click", clicked);
document.addEventListener("submit", switchTheme);
document.addEventListener("submit", submitted);
document.addEventListener("visibilitychange", () => {
  seen = true;
  if (document.hidden) unlisten(); else listen();
});
document.addEventListener("htmx:beforeSwap", keepState);
document.addEventListener("htmx:afterSwap", () => { stale(false); begin(); giveBackState(); });
// Until then htmx gives elements the attributes that those of the same ids had before.
document.addEventListener("htmx:afterSettle", markLine);
document.addEventListener("htmx:responseError", () => stale(true));
document.addEventListener("htmx:sendError", () => stale(true));
window.addEventListener("hashchange", markLine);
window.addEventListener("pageshow", () => {
  document.querySelectorAll("button:disabled").forEach((button) => { button.disabled = false; });
});
document.addEventListener("DOMContentLoaded", () => { toEnds(); begin(); enterWithTicket(); listen(); goOn(); });
