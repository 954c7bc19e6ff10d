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
    // The exact time in the reader's zone.
    time.title = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "full", hourCycle: "h23", timeStyle: "long" });
    time.tabIndex = 0;
    time.textContent = words.format(Math.round(seconds / length), unit);
  });
  relative();
  setInterval(relative, 30000);

  // Rows that do not have what is typed are hidden; Enter asks the server.
  const filter = () => all("input[data-filter]").forEach((input) => {
    const wanted = input.value.toLowerCase();
    all(input.dataset.filter).forEach((row) => { row.hidden = !row.dataset.text.toLowerCase().includes(wanted); });
  });
  all("input[data-filter]").forEach((input) => input.addEventListener("input", filter));

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
  const show = (element) => {
    for (let at = element; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    element.scrollIntoView({ block: "center" });
  };
  // A line of a log that is not on this page is on another. Only once, whatever the log has.
  const seek = () => {
    const to = document.getElementById(location.hash.slice(1));
    if (to) { show(to); return; }
    const [, first, number] = /^#step-(\d+)-L(\d+)(?:-L\d+)?$/.exec(location.hash) || [];
    const build = location.pathname.replace(/\/steps\/.*$/, "");
    if (!number || new URLSearchParams(location.search).has("sought")) return;
    location.replace(`${build}/steps/${first}/log?format=html&sought&from=${Math.max(1, number - 20)}${location.hash}`);
  };
  // A range of lines: #step-1-L50-L60.
  const range = () => {
    const [, step, from, to] = /^#step-(\d+)-L(\d+)-L(\d+)$/.exec(location.hash) || [];
    if (!from) return false;
    all(".l.found").forEach((line) => line.classList.remove("found"));
    for (let at = +from; at <= Math.min(+to, +from + 5000); at++) document.getElementById(`step-${step}-L${at}`)?.classList.add("found");
    const first = document.getElementById(`step-${step}-L${from}`);
    if (first) show(first);
    return Boolean(first);
  };
  const arrive = () => { if (location.hash.length > 1 && !range()) seek(); };
  arrive();
  addEventListener("hashchange", arrive);
  // A second number, chosen with Shift, makes a range.
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".out.log a.n");
    const [, step, from] = /^#step-(\d+)-L(\d+)/.exec(location.hash) || [];
    if (!link || !event.shiftKey || !from) return;
    const [, of, to] = /^#step-(\d+)-L(\d+)$/.exec(link.hash) || [];
    if (of !== step) return;
    event.preventDefault();
    location.hash = `#step-${step}-L${Math.min(from, to)}-L${Math.max(from, to)}`;
  });

  // Times of a log: since the start, of day, or none.
  const times = one("#times");
  const pad = (number) => String(Math.floor(number)).padStart(2, "0");
  const since = (ms) => ms >= 3600000 ? `${Math.floor(ms / 3600000)}:${pad(ms / 60000 % 60)}:${pad(ms / 1000 % 60)}` : `${Math.floor(ms / 60000)}:${pad(ms / 1000 % 60)}`;
  const timed = (mark, started) => { mark.textContent = times && times.value === "at" ? new Date(+started + +mark.dataset.t).toLocaleTimeString() : since(+mark.dataset.t); };
  if (times) {
    times.value = localStorage.getItem("times") || "since";
    const apply = () => {
      document.body.classList.toggle("no-times", times.value === "off");
      all(".out.log").forEach((out) => all(".t", out).forEach((mark) => timed(mark, out.dataset.started)));
    };
    times.addEventListener("change", () => { localStorage.setItem("times", times.value); apply(); });
    apply();
  }

  // A log that grows. What is added looks as the server would write it, but for groups.
  const follow = (out) => {
    if (!out || out.isFollowed || !out.dataset.follow) return;
    out.isFollowed = true;
    const step = out.dataset.step;
    let row = null, text = "", style = [], second = -1;
    // The last line may go on.
    const last = all(".l", out).at(-1);
    let number = +(last?.id.split("-L")[1] || 1);
    last?.remove();
    const draw = () => {
      const code = row.lastElementChild;
      code.replaceChildren();
      let classes = row.style0;
      const shown = text.replace(/\r$/, "").split("\r").at(-1);
      for (const part of shown.split(/(\x1b\[[\d;]*m)/)) {
        const codes = /^\x1b\[([\d;]*)m$/.exec(part);
        if (codes) {
          classes = codes[1].split(";").reduce((all, code) => +code === 0 ? [] : +code === 1 ? [...all, "b"] : /^[39][0-7]$/.test(code) ? [...all.filter((name) => name[0] !== "f"), `f${code % 10}`] : all, classes);
        } else if (part) {
          const span = document.createElement("span");
          span.className = classes.join(" ");
          span.textContent = part.replace(/\x1b(\[[^@-~]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\))/g, "");
          code.append(span);
        }
      }
      style = classes;
    };
    const begin = (ms) => {
      row = document.createElement("div");
      row.className = "l";
      row.id = `step-${step}-L${number}`;
      row.style0 = style;
      const link = document.createElement("a");
      link.className = "n"; link.href = `#${row.id}`; link.textContent = number;
      row.append(link);
      if (Math.floor(ms / 1000) !== second) {
        second = Math.floor(ms / 1000);
        const mark = document.createElement("span");
        mark.className = "t"; mark.dataset.t = ms;
        timed(mark, out.dataset.started);
        row.append(mark);
      }
      row.append(document.createElement("code"));
      text = "";
      out.append(row);
    };
    const events = new EventSource(out.dataset.follow);
    events.addEventListener("log", (event) => {
      const isAtEnd = out.scrollHeight - out.scrollTop - out.clientHeight < 40;
      for (const [ms, stream, written] of JSON.parse(event.data)) {
        const lines = written.split("\n");
        lines.forEach((part, at) => {
          if (part || at < lines.length - 1) {
            if (!row) begin(ms);
            if (stream === "err") row.classList.add("e");
            text += part;
          }
          if (at < lines.length - 1) { draw(); row = null; number++; }
        });
        if (row) draw();
      }
      // A page that is open for days does not keep everything.
      while (out.childElementCount > 5000) out.firstElementChild.remove();
      if (isAtEnd) out.scrollTop = out.scrollHeight;
    });
    events.addEventListener("end", async () => {
      events.close();
      delete out.dataset.follow;
      const details = out.closest("details.step");
      if (!details) { location.reload(); return; }
      const answer = await fetch(out.dataset.follow0.replace(/\/log\?.*$/, ""), { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (!answer.ok) return;
      const state = (await answer.json()).success ? "success" : "failure";
      details.classList.replace("running", state);
      const mark = one(".state", details);
      mark.className = `state ${state}`;
      one("use", mark).setAttribute("href", `#i-${state}`);
      mark.lastChild.textContent = state;
    });
    out.dataset.follow0 = out.dataset.follow;
  };
  // Browsers open few connections to a server: only what is looked at is followed.
  const followOpen = (root) => all("[data-follow]", root).slice(0, 3).forEach((out) => {
    const details = out.closest("details.step");
    if (!details || details.open) follow(out);
    else details.addEventListener("toggle", () => follow(out), { once: true });
  });
  followOpen(document);
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
      followOpen(step);
      relative();
    });
    events.addEventListener("end", () => { events.close(); location.reload(); });
    // Not again and again, whatever the server says.
    events.addEventListener("reload", () => { events.close(); setTimeout(() => location.reload(), 5000); });
  }

  // Text to copy.
  all("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy);
    field.select();
    try { await navigator.clipboard.writeText(field.value); button.textContent = "Copied"; } catch { document.execCommand("copy"); }
  }));

  // A list that is watched is loaded again while it is looked at, unless its reader is about to write or chooses.
  const watched = one("[data-refresh]");
  if (watched) setInterval(async () => {
    if (document.hidden || one("main input:focus, main select:focus, main textarea:focus, [data-refresh] input:checked")) return;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" }).catch(() => null);
    if (!answer?.ok) return;
    const fresh = one("[data-refresh]", new DOMParser().parseFromString(await answer.text(), "text/html"));
    if (fresh) { watched.replaceChildren(...fresh.childNodes); relative(); filter(); }
  }, watched.dataset.refresh * 1000);

  // Keys, which their reader may turn off (WCAG 2.2, 2.1.4).
  const keysOn = () => localStorage.getItem("keys") !== "off";
  const help = one("#keys");
  const go = (selector) => { const link = one(selector); if (link) link.click(); };
  const failures = () => all(".step.failure, tr.failure");
  let failure = -1;
  const keys = {
    "?": () => help.open ? help.close() : help.showModal(),
    "/": () => { const input = one("#find, main input[type=search]") || one("input[type=search]"); if (input) { input.focus(); input.select(); } },
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
