// The page of `edgevid serve`: no framework, no other machine is asked, nothing from the server becomes HTML.

const $ = (id) => document.getElementById(id);
const KINDS = ["object", "class", "text", "speech", "sound", "cut"];
const LIST_EVERY_MS = 2000;
const MOST_SHOWN = 500; // events in the list and marks on the track
const GLIMPSE_S = 2; // how long evidence that is a moment plays

/** What the page knows. `chosen`: ids of {video, session}; `rows`: row id -> {row, kind, label, start_s, ...}. */
const now = {
  chosen: null,
  media: null,
  mode: "live",
  rows: new Map(),
  hidden: new Set(),
  until: null,
  feed: null,
  tag: null,
  duration: 0,
  cannotPlay: false,
};

// --- talking to the server ---

class ServerError extends Error {}

async function call(path, { method = "GET", body } = {}) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    linked(false);
    throw new ServerError("The server does not answer.");
  }
  linked(true);
  if (answer.status === 401) askForToken();
  if (answer.status === 204) return null;
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok)
    throw new ServerError(
      [json.error?.message, json.error?.fix && `(${json.error.fix})`].filter(Boolean).join(" ") ||
        answer.statusText,
    );
  return json;
}

function linked(ok) {
  $("link").textContent = ok ? "connected" : "not connected";
  $("link").className = `pill ${ok ? "good" : "bad"}`;
}

function askForToken() {
  if (!$("login").open) $("login").showModal();
}

$("login")
  .querySelector("form")
  .addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await call("/v1/login", { method: "POST", body: { token: $("token").value } });
      $("login").close();
      begin();
    } catch (error) {
      $("login-note").textContent = error.message;
    }
  });

// --- small things ---

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Fill a list anew without taking the focus from who moves through it by keyboard. */
function refill(list, items) {
  const key = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  list.replaceChildren(...items);
  if (key) list.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

function clock(seconds) {
  const whole = Math.floor(seconds),
    tenths = Math.floor((seconds - whole) * 10);
  const minutes = Math.floor(whole / 60) % 60,
    hours = Math.floor(whole / 3600);
  const two = (n) => String(n).padStart(2, "0");
  return (
    (hours ? `${hours}:${two(minutes)}` : `${minutes}`) + `:${two(whole % 60)}` + (tenths ? `.${tenths}` : "")
  );
}

function span(start_s, end_s) {
  return end_s - start_s < 0.05 ? clock(start_s) : `${clock(start_s)} – ${clock(end_s)}`;
}

// --- the list of videos ---

async function refreshList() {
  const [{ sessions }, { videos }] = await Promise.all([call("/v1/sessions"), call("/v1/videos")]);
  const states = new Map(sessions.map((session) => [session.id, session]));
  const entries = sessions
    .filter((s) => s.video_id === null)
    .map((s) => ({ video: null, session: s, name: s.label ?? s.source }));
  entries.push(...videos.map((v) => ({ video: v, session: states.get(v.session) ?? null, name: v.name })));
  const shown = JSON.stringify([entries, now.chosen]);
  if (shown !== now.listed) refill($("videos"), entries.map(listEntry));
  now.listed = shown;
  const mine = entries.find(
    (e) =>
      now.chosen &&
      ((e.video && e.video.id === now.chosen.video) || (e.session && e.session.id === now.chosen.session)),
  );
  if (mine) show(mine);
  else if (!now.chosen && entries.length) choose(entries[0]);
  else if (!entries.length)
    $("blank").textContent = "Nothing has been watched yet. Name a file on the right to begin.";
}

function listEntry(entry) {
  const state = entry.session?.state ?? "kept";
  const current = Boolean(now.chosen && entry.video && entry.video.id === now.chosen.video);
  const button = element(
    "button",
    { type: "button" },
    element("span", { className: "name", textContent: entry.name }),
    pill(state),
  );
  button.dataset.key = entry.video?.id ?? entry.session.id;
  button.setAttribute("aria-current", String(current));
  button.addEventListener("click", () => choose(entry));
  return element("li", {}, button);
}

function pill(state, made = element("span")) {
  const looks = { watching: "good", loading: "good", failed: "bad" }[state] ?? "";
  return Object.assign(made, { className: `pill ${looks}`, textContent: state, hidden: false });
}

function choose(entry) {
  now.feed?.close();
  Object.assign(now, {
    chosen: { video: entry.video?.id ?? null, session: entry.session?.id ?? null },
    media: null,
    mode: "live",
    rows: new Map(),
    feed: null,
    tag: null,
    until: null,
    duration: 0,
    cannotPlay: false,
  });
  $("answers").replaceChildren();
  $("player").removeAttribute("src");
  $("live").hidden = true;
  follow();
  show(entry);
  draw();
}

/** What the newest list says of the chosen video. */
function show(entry) {
  const running = ["watching", "loading"].includes(entry.session?.state);
  now.chosen = { video: entry.video?.id ?? null, session: entry.session?.id ?? null };
  now.running = running;
  now.media = entry.video?.media ?? null;
  now.duration = Math.max(now.duration, entry.video?.duration_s ?? 0, entry.session?.duration_s ?? 0);
  $("now").textContent = entry.name;
  pill(entry.session?.state ?? "kept", $("state"));
  $("stop").hidden = !running;
  $("question").disabled = $("ask").querySelector("button").disabled = now.chosen.video === null;
  $("show-live").disabled = now.chosen.session === null;
  $("show-file").disabled = now.media === null;
  if (now.mode === "live" && now.chosen.session === null && now.media) setMode("file");
  if (entry.session?.error) $("blank").textContent = entry.session.error.message;
  else $("blank").textContent = running ? "Loading models…" : now.media ? "" : "There is no picture to show.";
}

// --- live view and recording ---

function setMode(mode) {
  now.mode = mode;
  $("show-live").setAttribute("aria-pressed", String(mode === "live"));
  $("show-file").setAttribute("aria-pressed", String(mode === "file"));
  $("player").hidden = mode !== "file" || now.cannotPlay;
  if (mode === "file") {
    $("live").hidden = !now.cannotPlay;
    if (!$("player").hasAttribute("src")) $("player").src = now.media;
    $("caption").textContent = "";
  } else {
    $("player").pause();
    now.tag = null;
  }
}

$("show-live").addEventListener("click", () => setMode("live"));
$("show-file").addEventListener("click", () => setMode("file"));

async function liveLoop() {
  for (;;) {
    await new Promise((resume) => setTimeout(resume, now.running ? 250 : 1000));
    if (document.hidden || now.mode !== "live" || !now.chosen?.session) continue;
    try {
      const asked = now.chosen.session;
      const answer = await fetch(`/v1/sessions/${asked}/frame.jpg?overlay=1`, {
        headers: now.tag ? { "If-None-Match": now.tag } : {},
      });
      if (answer.status !== 200 || now.mode !== "live" || asked !== now.chosen.session) continue;
      now.tag = answer.headers.get("etag");
      picture(URL.createObjectURL(await answer.blob()));
      const at = Number(answer.headers.get("x-edgevid-time"));
      playhead(at);
      $("caption").textContent = `${now.running ? "newest frame" : "last frame"}, at ${clock(at)}`;
    } catch {
      linked(false);
    }
  }
}

function picture(url) {
  const image = $("live");
  const old = image.src;
  image.src = url;
  image.hidden = false;
  if (old.startsWith("blob:")) URL.revokeObjectURL(old);
}

/** Play [start_s, end_s] of the recording, or show its picture where the browser cannot play the file. */
function play(start_s, end_s) {
  if (!now.media) return;
  setMode("file");
  playhead(start_s);
  if (now.cannotPlay) return still(start_s);
  const player = $("player");
  now.until = end_s - start_s < 0.5 ? start_s + GLIMPSE_S : end_s;
  player.currentTime = start_s;
  player.play().catch(() => {}); // a browser may want a click first; the picture stands at the right time
}

function still(start_s) {
  picture(`${now.media.replace(/media$/, "frame.jpg")}?t_s=${start_s}`);
  $("caption").textContent = `This browser cannot play the file; this is its picture at ${clock(start_s)}.`;
}

$("player").addEventListener("timeupdate", () => {
  const at = $("player").currentTime;
  playhead(at);
  if (now.until !== null && at >= now.until) {
    $("player").pause();
    now.until = null;
  }
});
$("player").addEventListener("seeking", () => {
  if ($("player").currentTime > now.until) now.until = null;
});
$("player").addEventListener("error", () => {
  if (!$("player").hasAttribute("src")) return;
  now.cannotPlay = true;
  $("player").hidden = true;
  if (now.mode === "file") still($("player").currentTime || 0);
});

// --- events and timeline ---

function follow() {
  if (!now.chosen.session) return void loadRows();
  const feed = (now.feed = new EventSource(`/v1/sessions/${now.chosen.session}/events`));
  feed.addEventListener("event", (message) => {
    const event = JSON.parse(message.data);
    addRow({ ...event, start_s: event.t_s });
  });
  feed.addEventListener("gap", loadRows);
  feed.addEventListener("state", refreshSoon);
  feed.addEventListener("end", () => {
    feed.close();
    loadRows(); // rows grow while something stays in view; now their ends are known
  });
}

async function loadRows() {
  if (!now.chosen?.video) return;
  const asked = now.chosen.video;
  const { rows } = await call(`/v1/videos/${asked}/rows?limit=5000`);
  if (asked === now.chosen.video) rows.forEach(addRow);
}

function addRow(row) {
  now.rows.set(row.row, row);
  now.duration = Math.max(now.duration, row.end_s);
  drawSoon();
}

let drawing = false;
function drawSoon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    draw();
  });
}

function draw() {
  const rows = [...now.rows.values()].sort((a, b) => a.start_s - b.start_s || a.row - b.row);
  const shown = rows.filter((row) => !now.hidden.has(row.kind)).slice(-MOST_SHOWN);
  $("events-count").textContent = rows.length ? String(rows.length) : "";
  const list = $("events");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const none = element("li", { className: "dim", textContent: "Nothing has been seen or heard yet." });
  refill(list, shown.length ? shown.map(eventEntry) : [none]);
  if (atEnd) list.scrollTop = list.scrollHeight;
  drawTrack(shown);
  drawLegend(rows);
}

function eventEntry(row) {
  const label = row.label.split(",")[0] + (row.count > 1 ? ` ×${row.count}` : "");
  const button = element(
    "button",
    { type: "button", className: row.kind },
    element("span", { className: "time", textContent: clock(row.start_s) }),
    element("span", { textContent: row.kind }),
    element("span", {
      className: "label",
      textContent: ["speech", "text"].includes(row.kind) ? `“${row.label}”` : label,
    }),
    element("span", { className: "score", textContent: row.score.toFixed(2) }),
  );
  button.dataset.key = row.row;
  button.addEventListener("click", () => play(row.start_s, row.end_s));
  return element("li", {}, button);
}

function svg(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function drawTrack(rows) {
  const total = now.duration || 1;
  $("track").setAttribute("viewBox", `0 0 ${total} ${KINDS.length}`);
  const head = svg("line", { id: "head", x1: 0, x2: 0, y1: 0, y2: KINDS.length });
  $("track").replaceChildren(
    ...rows.map((row) => {
      const width = Math.max(row.end_s - row.start_s, total / 300);
      const mark = svg("rect", {
        x: row.start_s,
        y: KINDS.indexOf(row.kind) + 0.12,
        width,
        height: 0.76,
        class: row.kind,
      });
      mark.append(Object.assign(svg("title", {}), { textContent: `${clock(row.start_s)} ${row.label}` }));
      return mark;
    }),
    head,
  );
  playhead(now.at ?? 0);
}

function playhead(seconds) {
  now.at = seconds;
  $("head")?.setAttribute("x1", seconds);
  $("head")?.setAttribute("x2", seconds);
}

$("track").addEventListener("click", (event) => {
  const box = $("track").getBoundingClientRect();
  const at = ((event.clientX - box.left) / box.width) * (now.duration || 0);
  play(at, now.duration);
});

function drawLegend(rows) {
  const present = KINDS.filter((kind) => rows.some((row) => row.kind === kind));
  refill(
    $("legend"),
    present.map((kind) => {
      const button = element("button", { type: "button", className: kind, textContent: kind });
      button.dataset.key = kind;
      button.setAttribute("aria-pressed", String(!now.hidden.has(kind)));
      button.addEventListener("click", () => {
        if (!now.hidden.delete(kind)) now.hidden.add(kind);
        draw();
      });
      return element("li", {}, button);
    }),
  );
}

// --- asking ---

$("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (!question || !now.chosen?.video) return;
  const entry = element(
    "li",
    { className: "waiting" },
    element("p", { className: "asked", textContent: question }),
    element("p", { textContent: "…" }),
  );
  $("answers").append(entry);
  $("question").value = "";
  try {
    const answer = await call(`/v1/videos/${now.chosen.video}/ask`, { method: "POST", body: { question } });
    entry.lastChild.textContent = answer.text;
    const chips = answer.evidence.map((e) => {
      const chip = element("button", { type: "button", textContent: `▶ ${span(e.start_s, e.end_s)}` });
      chip.addEventListener("click", () => play(e.start_s, e.end_s));
      chip.disabled = !now.media;
      return element("li", {}, chip);
    });
    if (chips.length) entry.append(element("ul", { className: "chips evidence" }, ...chips));
    entry.append(
      element("p", {
        className: "dim",
        textContent: `${Math.round(answer.latency_ms)} ms, ${answer.calls.join(", ")}`,
      }),
    );
  } catch (error) {
    entry.classList.add("failed");
    entry.lastChild.textContent = error.message;
  } finally {
    entry.classList.remove("waiting");
  }
});

// --- starting, stopping, measuring ---

$("watch").addEventListener("submit", async (event) => {
  event.preventDefault();
  const note = $("watch-note");
  const button = $("watch").querySelector("button");
  button.disabled = true;
  note.className = "dim";
  note.textContent = "Opening…";
  try {
    const session = await call("/v1/sessions", {
      method: "POST",
      body: { source: $("source").value.trim(), fps: Number($("fps").value) },
    });
    note.textContent = "";
    choose({ video: null, session, name: session.label ?? session.source });
    refreshSoon();
  } catch (error) {
    note.className = "wrong";
    note.textContent = error.message;
  } finally {
    button.disabled = false;
  }
});

$("stop").addEventListener("click", async () => {
  await call(`/v1/sessions/${now.chosen.session}`, { method: "DELETE" }).catch(() => {});
  refreshSoon();
});

async function refreshStages() {
  if (!now.chosen?.session) return;
  const { stats } = await call(`/v1/sessions/${now.chosen.session}/stats`);
  const stages = Object.entries(stats.stages ?? {});
  $("stages").hidden = !stages.length;
  if (!stages.length) return;
  const most = Math.max(...stages.map(([, times]) => times.p95_ms));
  $("totals").textContent =
    `${stats.frames} frames of ${clock(stats.media_s)} of video, ${Math.round(stats.rss_mb)} MB`;
  $("stages").tBodies[0].replaceChildren(
    ...stages.map(([name, times]) =>
      element(
        "tr",
        {},
        element("td", { textContent: name }),
        element("td", { textContent: `${times.p50_ms.toFixed(1)} ms` }),
        element("td", { textContent: `${times.p95_ms.toFixed(1)} ms` }),
        element(
          "td",
          {},
          element("meter", { max: most || 1, value: times.p95_ms, ariaLabel: `${name}, 95 %` }),
        ),
      ),
    ),
  );
}

let refreshing = 0;
function refreshSoon() {
  clearTimeout(refreshing);
  refreshing = setTimeout(refresh, 50);
}

async function refresh() {
  clearTimeout(refreshing);
  try {
    if (!document.hidden) {
      await refreshList();
      await refreshStages();
    }
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
  } finally {
    if (!$("login").open) refreshing = setTimeout(refresh, LIST_EVERY_MS);
  }
}

async function listSources() {
  const { sources, sample, live } = await call("/v1/sources");
  const names = [...sources.map((s) => s.source), ...(sample ? ["sample"] : [])];
  $("sources").replaceChildren(...names.map((value) => element("option", { value })));
  $("source").placeholder = names[0] ?? (live ? "rtsp://…" : "");
  if (!names.length && !live)
    $("watch-note").textContent = "No folder is open to this page: edgevid serve --root FOLDER";
}

$("theme").addEventListener("click", () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const shown = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
  localStorage.setItem(
    "theme",
    (document.documentElement.dataset.theme = shown === "dark" ? "light" : "dark"),
  );
});

function begin() {
  listSources().catch(() => {});
  refresh();
}

if (localStorage.getItem("theme")) document.documentElement.dataset.theme = localStorage.getItem("theme");
draw();
liveLoop();
begin();
