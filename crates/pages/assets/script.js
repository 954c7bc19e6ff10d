"use strict";
// What the pages do beyond what they do without it. Everything is here also without: as links and forms.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  document.documentElement.classList.add("has-js");

  // Times, told from now.
  const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const relative = () => all("time[datetime]").forEach((time) => {
    const seconds = (new Date(time.dateTime) - Date.now()) / 1000;
    const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) || units[5];
    time.title = time.title || time.textContent;
    time.textContent = words.format(Math.round(seconds / length), unit);
  });
  relative();
  setInterval(relative, 30000);

  // Rows that do not have what is typed are hidden; Enter asks the server.
  all("input[data-filter]").forEach((input) => input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase();
    all(input.dataset.filter).forEach((row) => { row.hidden = !row.dataset.text.toLowerCase().includes(wanted); });
  }));

  // Outputs: more of them in place, and a search.
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-more]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    // A second click does nothing until the first is done.
    if (link.ariaBusy) return;
    link.ariaBusy = "true";
    const id = link.dataset.more;
    const answer = await fetch(link.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (!answer.ok) { location.href = link.href; return; }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const lines = one(".out", page), target = document.getElementById(id);
    const height = target.scrollHeight, top = target.scrollTop;
    target.prepend(...lines.children);
    target.scrollTop = top + target.scrollHeight - height;
    const earlier = one("a[rel=prev]", page);
    link.ariaBusy = null;
    if (earlier) link.href = earlier.href; else link.remove();
    const about = one(".about", target.previousElementSibling);
    if (about) about.textContent = [about.dataset.whole, `${target.children.length} lines shown`].filter(Boolean).join("; ");
    target.focus();
  });
  all(".step .out").forEach((out) => { out.scrollTop = out.scrollHeight; });
  const line = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  const show = (element) => {
    for (let at = element; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    element.scrollIntoView({ block: "center" });
  };
  if (line) show(line);
  addEventListener("hashchange", () => { const to = document.getElementById(location.hash.slice(1)); if (to) show(to); });
  const find = one("#find");
  let found = [], at = -1;
  const step = (by) => {
    if (!found.length) return;
    at = (at + by + found.length) % found.length;
    show(found[at]);
    one("#found").textContent = `${at + 1} of ${found.length}`;
  };
  if (find) {
    find.addEventListener("input", () => {
      const wanted = find.value.toLowerCase();
      all(".l.found").forEach((line) => line.classList.remove("found"));
      found = wanted ? all(".out .l").filter((line) => line.lastElementChild.textContent.toLowerCase().includes(wanted)) : [];
      found.forEach((line) => line.classList.add("found"));
      at = -1;
      one("#found").textContent = wanted ? `Matching lines: ${found.length}` : "";
    });
    find.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); step(event.shiftKey ? -1 : 1); }
    });
  }
  const wrap = one("#wrap");
  if (wrap) wrap.addEventListener("change", () => document.body.classList.toggle("nowrap", !wrap.checked));

  // A build that runs fills in.
  const live = one("[data-events]");
  if (live) {
    const events = new EventSource(live.dataset.events);
    events.addEventListener("step", (event) => {
      const holder = document.createElement("template");
      holder.innerHTML = event.data;
      const step = holder.content.firstElementChild;
      if (!step || document.getElementById(step.id)) return;
      one("#steps").append(step);
      relative();
    });
    events.addEventListener("end", () => { events.close(); location.reload(); });
    // Not again and again, whatever the server says.
    events.addEventListener("reload", () => { events.close(); setTimeout(() => location.reload(), 5000); });
  }

  // Keys, which their reader may turn off (WCAG 2.2, 2.1.4).
  const keysOn = () => localStorage.getItem("keys") !== "off";
  const help = one("#keys");
  const go = (selector) => { const link = one(selector); if (link) link.click(); };
  const failures = () => all(".step.failure, tr.failure");
  let failure = -1;
  const keys = {
    "?": () => help.open ? help.close() : help.showModal(),
    "/": () => { const input = one("#find, input[type=search]"); if (input) { input.focus(); input.select(); } },
    "h": () => go(".home"), "n": () => go("a[rel=next]"), "p": () => go("a[rel=prev]"), "u": () => go("a[rel=up]"),
    "f": () => { const steps = failures(); if (steps.length) { failure = (failure + 1) % steps.length; steps[failure].open = true; show(steps[failure]); } },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const act = keys[event.key];
    if (act && (event.key === "?" || keysOn())) { event.preventDefault(); act(); }
  });
  one("#keys-close").addEventListener("click", () => help.close());
  const box = one("#keys-on");
  box.checked = keysOn();
  box.addEventListener("change", () => localStorage.setItem("keys", box.checked ? "on" : "off"));
})();
