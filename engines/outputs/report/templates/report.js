"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const cards = [...document.querySelectorAll(".card[data-rank]")];
  const facts = new Map(data.highlights.map((one) => [one.rank, one]));
  document.documentElement.classList.add("scripted");

  // --- time codes

  const pad = (number, width = 2) => String(number).padStart(width, "0");
  const timecode = (seconds) => {
    const whole = Math.round(seconds), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    return hours ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
  };
  const clock = (seconds) => {
    const ms = Math.round(seconds * 1000);
    return `${pad(Math.floor(ms / 3600000))}:${pad(Math.floor(ms / 60000) % 60)}:${pad(Math.floor(ms / 1000) % 60)}.${pad(ms % 1000, 3)}`;
  };
  const frames = (count, whole) => {
    const seconds = Math.floor(count / whole);
    return `${pad(Math.floor(seconds / 3600))}:${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}:${pad(count % whole)}`;
  };

  // --- what was kept and dropped; the browser remembers it

  const memory = `kuaihl ${data.key}`;
  let picks = {};
  try { picks = JSON.parse(localStorage.getItem(memory)) || {}; } catch { /* a page from a file may have no storage */ }
  const rankOf = (card) => Number(card.dataset.rank);
  // By its times, not by its rank: after another choice of highlights the rank is another one's.
  const spanKey = (rank) => `${facts.get(rank).start}-${facts.get(rank).end}`;
  const pickOf = (rank) => picks[spanKey(rank)];
  const spanOf = (rank) => document.querySelector(`.span[data-rank="${rank}"]`);

  const showPicks = () => {
    let kept = 0, dropped = 0;
    for (const card of cards) {
      const pick = pickOf(rankOf(card));
      kept += pick === "kept";
      dropped += pick === "dropped";
      for (const node of [card, spanOf(rankOf(card))]) {
        node.classList.toggle("kept", pick === "kept");
        node.classList.toggle("dropped", pick === "dropped");
      }
      card.querySelector(".keep").setAttribute("aria-pressed", String(pick === "kept"));
      card.querySelector(".drop").setAttribute("aria-pressed", String(pick === "dropped"));
    }
    const rest = cards.length - kept - dropped;
    $("count").textContent = kept ? `${kept} kept` : dropped ? `${rest} not dropped` : "none kept yet: all are saved";
    $("save").disabled = !chosen().length;
  };
  const pick = (card, what) => {
    const key = spanKey(rankOf(card));
    if (picks[key] === what) delete picks[key]; else picks[key] = what;
    try { localStorage.setItem(memory, JSON.stringify(picks)); } catch { /* as above */ }
    showPicks();
  };
  // Those kept; if none is, all that were not dropped. In order of time.
  const chosen = () => {
    const kept = data.highlights.filter((one) => pickOf(one.rank) === "kept");
    const all = kept.length ? kept : data.highlights.filter((one) => pickOf(one.rank) !== "dropped");
    return [...all].sort((one, two) => one.start - two.start);
  };

  // --- files for editors

  // A spreadsheet must not run a streamer's words as a formula.
  const asText = (text) => (/^\s*[=+\-@]/.test(text) || /^[\t\r]/.test(text) ? `'${text}` : text);
  const cell = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const rows = (table) => table.map((row) => row.map((value) => cell(String(value))).join(",") + "\r\n").join("");

  const makers = {
    "csv": (list) => rows([
      ["rank", "start", "end", "start_timecode", "end_timecode", "score", "text", "clip"],
      ...list.map((one) => [one.rank, one.start.toFixed(3), one.end.toFixed(3), clock(one.start), clock(one.end),
        one.score.toFixed(6), asText(one.words), asText(one.clip ? decodeURIComponent(one.clip) : "")]),
    ]),
    "llc.csv": (list) => rows(list.map((one) => [one.start.toFixed(3), one.end.toFixed(3), asText(one.name)])),
    "llc": (list) => JSON.stringify({
      version: 2,
      mediaFileName: data.media,
      cutSegments: list.map((one) => ({ start: one.start, end: one.end, name: one.name })),
    }, null, 2) + "\n",
    "edl": (list) => {
      const [over, under = 1] = $("rate").value.split("/");
      const rate = over / under, whole = Math.round(rate);  // 29.97 is counted as 30 numbers per second
      let place = 3600 * whole;  // a timeline begins at 01:00:00:00
      const events = list.map((one, index) => {
        const first = Math.round(one.start * rate), last = Math.max(first + 1, Math.round(one.end * rate));
        const begin = place;
        place += last - first;
        return `${pad(index + 1, 3)}  AX       V     C        ${frames(first, whole)} ${frames(last, whole)} ${frames(begin, whole)} ${frames(place, whole)}\r\n`
          + `* FROM CLIP NAME: ${data.media}\r\n* COMMENT: ${one.name}\r\n`;
      });
      return `TITLE: ${data.title}\r\nFCM: NON-DROP FRAME\r\n\r\n${events.join("\r\n")}`;
    },
  };
  const save = () => {
    const format = $("format").value;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([makers[format](chosen())], { type: "text/plain;charset=utf-8" }));
    link.download = `${data.title.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N}._-]+/gu, "_") || "highlights"}.${format}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  };
  $("format").addEventListener("change", () => { $("rate").hidden = $("format").value !== "edl"; });
  $("save").addEventListener("click", save);

  // --- the player

  const video = $("video"), whole = video ? video.getAttribute("src") : null;
  let loaded = whole, offset = 0, until = null, shown = null;
  const canPlay = (one) => Boolean(video && (whole || (one && one.clip)));

  const play = (start, end, one) => {
    if (!canPlay(one)) return;
    const source = whole || one.clip;
    offset = whole ? 0 : one.clip_start;  // a clip's own time begins at 0, often at a keyframe before its highlight
    if (source !== loaded) { video.src = source; loaded = source; }
    until = end;
    const seek = () => { video.currentTime = Math.max(0, start - offset); };
    if (video.readyState) seek(); else video.addEventListener("loadedmetadata", seek, { once: true });
    $("player").classList.add("started");
    $("playing").textContent = `${one ? `#${one.rank}   ` : ""}${timecode(start)}${end ? ` – ${timecode(end)}` : ""}`;
    video.play().catch(() => {});  // an error is shown below
  };
  if (video) {
    video.addEventListener("timeupdate", () => {
      const time = video.currentTime + offset;
      $("now").setAttribute("x1", time - data.start);
      $("now").setAttribute("x2", time - data.start);
      $("now").setAttribute("visibility", "visible");
      if (until !== null && time >= until) { video.pause(); until = null; }
    });
    video.addEventListener("error", () => {
      $("playing").textContent = `This browser cannot play ${whole ? data.media : "this clip"}; the time codes hold in any player.`;
    });
    $("stage").classList.add("plays");
  }

  // --- moving between highlights

  const select = (card, { scroll = true } = {}) => {
    shown?.classList.remove("current");
    if (shown) spanOf(rankOf(shown)).classList.remove("current");
    shown = card;
    card.classList.add("current");
    spanOf(rankOf(card)).classList.add("current");
    if (scroll) { card.focus({ preventScroll: true }); card.scrollIntoView({ block: "nearest" }); }
  };
  const ordered = () => [...document.querySelectorAll(".card[data-rank]")];
  const move = (by) => {
    const all = ordered(), at = all.indexOf(shown);
    const next = all[shown ? Math.min(all.length - 1, Math.max(0, at + by)) : by > 0 ? 0 : all.length - 1];
    if (next) { select(next); if (video && !video.paused) playCard(next); }
  };
  const playCard = (card) => { const one = facts.get(rankOf(card)); select(card, { scroll: false }); play(one.start, one.end, one); };
  const toggle = () => {
    if (!video) return;
    if (!video.paused) video.pause();
    else if (shown && until === null) playCard(shown);
    else if (loaded) video.play().catch(() => {});
  };
  for (const card of cards) {
    const one = facts.get(rankOf(card));
    card.querySelector(".keep").addEventListener("click", () => { select(card, { scroll: false }); pick(card, "kept"); });
    card.querySelector(".drop").addEventListener("click", () => { select(card, { scroll: false }); pick(card, "dropped"); });
    for (const link of card.querySelectorAll(".seek, .clip")) {
      link.addEventListener("click", (event) => { if (canPlay(one)) { event.preventDefault(); playCard(card); } });
    }
    for (const image of card.querySelectorAll("img[data-time]")) {
      image.addEventListener("click", () => { select(card, { scroll: false }); play(Math.max(one.start, Number(image.dataset.time)), one.end, one); });
    }
  }
  for (const link of document.querySelectorAll(".missed .seek")) {
    link.addEventListener("click", (event) => {
      if (whole) { event.preventDefault(); play(Number(link.hash.slice(3)), null, null); }
    });
  }
  $("next").addEventListener("click", () => move(1));
  $("previous").addEventListener("click", () => move(-1));
  $("order").addEventListener("change", () => {
    const byTime = $("order").value === "time";
    const key = (card) => (byTime ? facts.get(rankOf(card)).start : rankOf(card));
    $("cards").prepend(...cards.sort((one, two) => key(one) - key(two)));
  });

  // --- the curve: zoom, pan, and what lies under the pointer

  const chart = $("chart"), planes = chart.querySelectorAll(".plane");
  const least = Math.min(data.seconds, 60);
  let from = 0, span = data.seconds;
  const steps = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  const label = (group, texts) => {
    const y = group.dataset.y ??= group.querySelector("text")?.getAttribute("y") ?? "";
    group.replaceChildren(...texts.map(([at, text]) => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", "text");
      node.setAttribute("x", `${at.toFixed(3)}%`);
      node.setAttribute("y", y);
      node.textContent = text;
      return node;
    }));
  };
  const at = (time) => 100 * (time - data.start - from) / span;
  const draw = () => {
    for (const plane of planes) plane.setAttribute("viewBox", `${from} 0 ${span} 1000`);
    chart.classList.toggle("zoomed", span < data.seconds);
    const most = Math.max(3, Math.floor(chart.clientWidth / 80)), edge = 2400 / Math.max(1, chart.clientWidth);
    const step = steps.find((one) => span / one <= most) || 86400, times = [];
    for (let time = Math.ceil((data.start + from) / step) * step; time <= data.start + from + span; time += step) {
      if (at(time) > edge && at(time) < 100 - edge) times.push([at(time), timecode(time)]);
    }
    label($("times"), times);
    let last = [];  // places that are taken: the better ranks keep theirs
    const ranks = [];
    for (const one of data.highlights) {
      const place = at((one.start + one.end) / 2);
      if (place < 0 || place > 100 || last.some((other) => Math.abs(other - place) < 1600 / chart.clientWidth)) continue;
      last.push(place);
      ranks.push([Math.min(Math.max(place, edge / 3), 100 - edge / 3), String(one.rank)]);
    }
    label($("ranks"), ranks);
    $("out").disabled = $("all").disabled = span >= data.seconds;
    $("in").disabled = span <= least;
  };
  const view = (start, length) => {
    span = Math.min(data.seconds, Math.max(least, length));
    from = Math.min(data.seconds - span, Math.max(0, start));
    draw();
  };
  const zoom = (factor, middle = from + span / 2) => view(middle - (middle - from) * factor, span * factor);
  const secondAt = (x) => { const box = chart.getBoundingClientRect(); return from + span * (x - box.left) / box.width; };
  $("in").addEventListener("click", () => zoom(0.5));
  $("out").addEventListener("click", () => zoom(2));
  $("all").addEventListener("click", () => view(0, data.seconds));
  chart.addEventListener("wheel", (event) => {
    if (event.ctrlKey || event.metaKey) { event.preventDefault(); zoom(Math.exp(event.deltaY / 300), secondAt(event.clientX)); }
    else if (event.deltaX && span < data.seconds) { event.preventDefault(); view(from + span * event.deltaX / chart.clientWidth, span); }
  }, { passive: false });
  chart.addEventListener("dblclick", (event) => zoom(0.4, secondAt(event.clientX)));

  const pointers = new Map();
  let moved = false;
  chart.addEventListener("pointerdown", (event) => { pointers.set(event.pointerId, event.clientX); moved = moved && pointers.size > 1; });
  chart.addEventListener("pointermove", (event) => {
    const second = secondAt(event.clientX), time = data.start + second;
    const point = data.points.find(([start, end]) => start <= time && time < end);
    $("readout").textContent = `${timecode(time)}${point ? `   ${point[2].toFixed(3)}` : ""}`;
    if (!pointers.has(event.pointerId)) return;
    const before = pointers.get(event.pointerId), by = event.clientX - before;
    if (!moved && Math.abs(by) < 4) return;
    if (!moved) { moved = true; chart.setPointerCapture?.(event.pointerId); }
    if (pointers.size === 2) {
      const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
      const factor = Math.abs(before - other) / Math.max(8, Math.abs(event.clientX - other));
      zoom(factor, secondAt((event.clientX + other) / 2));
    } else view(from - span * by / chart.clientWidth, span);
    pointers.set(event.pointerId, event.clientX);
  });
  const lift = (event) => pointers.delete(event.pointerId);
  window.addEventListener("pointerup", lift);
  window.addEventListener("pointercancel", lift);
  chart.addEventListener("pointerleave", () => { $("readout").textContent = ""; });
  chart.addEventListener("click", (event) => {
    const drag = moved, rank = event.target.dataset?.rank;
    moved = false;
    if (drag || rank) event.preventDefault();
    if (drag) return;
    if (rank && $(`h${rank}`)) select($(`h${rank}`));
    else if (whole) play(data.start + secondAt(event.clientX), null, null);
  });
  window.addEventListener("resize", draw);

  // --- keys

  const keys = {
    ArrowRight: () => move(1), n: () => move(1), ArrowLeft: () => move(-1), p: () => move(-1),
    k: () => shown && pick(shown, "kept"), d: () => shown && pick(shown, "dropped"),
    " ": toggle, "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), "0": () => view(0, data.seconds),
  };
  window.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("select, input, video")) return;
    if (event.key === " " && (!video || event.target.closest?.("button, a, summary"))) return;
    const does = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (does) { event.preventDefault(); does(); }
  });

  showPicks();
  draw();
  const linked = /^#h\d+$/.test(location.hash) && document.querySelector(location.hash);
  if (linked) select(linked);
})();
