"use strict";
(() => {
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const LOINC = "http://loinc.org|", PHR = "http://hl7.org/fhir/uv/phr/CodeSystem/observation-pghd-codes|";
  const DAY = 86400000;
  const METRICS = [
    ["Heart rate", PHR + "heartRate"], ["Resting heart rate", PHR + "restingHeartRate"],
    ["Heart rate variability", PHR + "heartRateVariabilitySDNN,urn:firth:metric|hrv-rmssd"], ["Oxygen saturation", PHR + "oxygenSaturation"],
    ["Respiratory rate", PHR + "respiratoryRate"], ["Blood pressure", PHR + "bloodPressure"],
    ["Weight", PHR + "bodyMass"], ["Steps", PHR + "stepCount"], ["Sleep stages", PHR + "sleepAnalysis"],
  ];
  const at = (id) => document.getElementById(id);
  const since = (ms) => new Date(Date.now() - ms).toISOString();

  // An element with attributes and children.
  function make(name, attributes, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }
  function draw(name, attributes, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  // A path whose parameters are written so that a person can read them; a list is a parameter that is repeated.
  function path(of, parameters) {
    const encoded = Object.entries(parameters).flatMap(([key, values]) => [values].flat().map((value) => [key, value])).map(([key, value]) =>
      key + "=" + encodeURIComponent(value).replace(/%3A/g, ":").replace(/%2F/g, "/").replace(/%2C/g, ",").replace(/%7C/g, "|"));
    return of + "?" + encoded.join("&");
  }
  function headers(role) {
    return role === "app" ? { "X-Open-Wearables-API-Key": DATA.apiKey } : { Authorization: "Bearer " + DATA.tokens[role] };
  }
  async function ask(role, url) {
    const began = performance.now();
    const response = await fetch(url, { headers: { Accept: "application/json, application/fhir+json", ...headers(role) } });
    const text = await response.text();
    let body;
    try { body = JSON.parse(text); } catch { body = undefined; }
    return { role, url, response, text, body, took: performance.now() - began, id: response.headers.get("x-request-id") };
  }

  // ---- people

  const newest = new Map();

  function card(person) {
    const value = make("b", {}, "–"), when = make("small", {}, "reading");
    const curve = make("div", { class: "curve" });
    const counts = make("ul", { class: "counts", "aria-label": "Observations by metric" });
    for (const [name, code] of METRICS) {
      const number = make("b", {}, "–");
      const button = make("button", { type: "button" }, number, make("span", {}, name));
      const url = (count) => path("/fhir/Observation", { patient: person.patient, code, _count: count });
      button.addEventListener("click", () => show({ role: "clinician", url: url(5), note: `${name} of ${person.name}, newest first.` }));
      counts.append(make("li", {}, button));
      ask("clinician", url(0)).then((answer) => { number.textContent = String(answer.body?.total ?? "?"); }, () => {});
    }
    const facts = make("p", {}, person.says, document.createElement("br"), person.source);
    const article = make("article", { class: "person", "aria-label": person.name },
      make("div", { class: "who" }, make("div", {}, make("h3", {}, person.name), facts), make("div", { class: "now" }, value, when)), curve, counts);
    at("people").append(article);
    return beats(person).then((found) => {
      const last = found.points[found.points.length - 1];
      if (!last) { when.textContent = "no heart rate yet"; return; }
      newest.set(person.patient, last.id);
      value.textContent = String(last.value);
      when.textContent = "beats/min at " + clock(last.time, person.zone);
      plot(curve, found, person);
      new ResizeObserver(() => plot(curve, found, person)).observe(curve);
    });
  }

  // Heart rates of 24 hours; a resting heart rate has both codes and becomes the dashed line. A record that is dated in
  // the future would make these 24 hours a dot, so they end now.
  async function beats(person) {
    const now = Date.now();
    const parameters = { patient: person.patient, code: LOINC + "8867-4", date: ["ge" + since(DAY), "le" + since(0)], _count: 500 };
    const { body } = await ask("clinician", path("/fhir/Observation", parameters));
    const found = { points: [], resting: undefined };
    for (const { resource } of body?.entry ?? []) {
      if (resource?.resourceType !== "Observation" || !resource.valueQuantity) continue;
      const point = { id: resource.id, time: Date.parse(resource.effectiveDateTime), value: resource.valueQuantity.value };
      if (!(point.time > now - DAY && point.time <= now)) continue;
      if (resource.code.coding.some((coding) => coding.code === "40443-4")) found.resting = point.value;
      else found.points.push(point);
    }
    found.points.sort((a, b) => a.time - b.time);
    return found;
  }

  function minutes(zone) {
    const [, sign, hours, rest] = /([+-])(\d\d):(\d\d)/.exec(zone);
    return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(rest));
  }
  function clock(time, zone) { return new Date(time + minutes(zone) * 60000).toISOString().slice(11, 16); }

  function plot(curve, { points, resting }, person) {
    const width = curve.clientWidth, height = 108, top = 16, bottom = height - 20;
    const end = points[points.length - 1].time, start = end - DAY;
    const values = points.map((point) => point.value), low = Math.min(...values, resting ?? Infinity), high = Math.max(...values);
    const x = (time) => 1 + (width - 6) * (time - start) / DAY;
    const y = (value) => bottom - (bottom - top) * (value - low) / Math.max(high - low, 1);
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    const average = Math.round(values.reduce((sum, value) => sum + value, 0) / values.length);
    svg.setAttribute("aria-label", `Heart rate of ${person.name} over 24 hours: ${low} to ${high}, on average ${average} beats per minute` +
      (resting ? `, resting ${resting}` : ""));
    const six = 6 * 3600000, shift = minutes(person.zone) * 60000;
    for (let tick = Math.ceil((start + shift) / six) * six - shift; tick < end; tick += six) {
      svg.append(draw("line", { class: "tick", x1: x(tick), x2: x(tick), y1: top, y2: bottom + 3 }));
      if (x(tick) > 14 && x(tick) < width - 34) svg.append(draw("text", { x: x(tick), y: height - 5, "text-anchor": "middle" }, clock(tick, person.zone)));
    }
    const line = points.filter((point) => point.time >= start).map((point, n) => (n ? "L" : "M") + x(point.time).toFixed(1) + " " + y(point.value).toFixed(1)).join("");
    svg.append(draw("path", { class: "area", d: `${line}L${x(end)} ${bottom}L${x(points[0].time)} ${bottom}Z` }));
    if (resting !== undefined) svg.append(draw("line", { class: "rest", x1: 0, x2: width, y1: y(resting), y2: y(resting) }));
    svg.append(draw("path", { class: "line", d: line }));
    svg.append(draw("circle", { class: "last", cx: x(end), cy: y(points[points.length - 1].value), r: 4 }));
    const peak = points[values.indexOf(high)];
    const side = x(peak.time) > width - 30 ? "end" : x(peak.time) < 30 ? "start" : "middle";
    svg.append(draw("text", { x: x(peak.time), y: top - 5, "text-anchor": side, class: "peak" }, String(high)));
    const probe = draw("g", { visibility: "hidden" }), rule = draw("line", { class: "probe", y1: top, y2: bottom }), read = draw("text", { class: "read", y: 10 });
    probe.append(rule, read);
    svg.append(probe);
    svg.addEventListener("pointermove", (event) => {
      const time = start + DAY * (event.clientX - svg.getBoundingClientRect().left) / width;
      const near = points.reduce((best, point) => Math.abs(point.time - time) < Math.abs(best.time - time) ? point : best);
      rule.setAttribute("x1", x(near.time)); rule.setAttribute("x2", x(near.time));
      read.setAttribute("x", x(near.time));
      read.setAttribute("text-anchor", x(near.time) > width / 2 ? "end" : "start");
      read.textContent = `${near.value} at ${clock(near.time, person.zone)}`;
      svg.querySelector(".peak").setAttribute("visibility", "hidden");
      probe.setAttribute("visibility", "visible");
    });
    svg.addEventListener("pointerleave", () => { probe.setAttribute("visibility", "hidden"); svg.querySelector(".peak").setAttribute("visibility", "visible"); });
    curve.replaceChildren(svg);
  }

  // ---- queries

  const [first, second] = DATA.people;
  const ready = [];
  const read = () => "/fhir/Observation/" + (newest.get(first.patient) ?? "…");
  const QUERIES = [
    { title: "Search", role: "clinician", note: `Blood pressures of ${second.name} since yesterday: one panel, two components.`,
      url: () => path("/fhir/Observation", { patient: second.patient, code: LOINC + "85354-9", date: "ge" + since(2 * DAY).slice(0, 10) }) },
    { title: "Read", role: "patient", note: `${first.name}'s newest heart rate, read by herself.`, url: read },
    { title: "A page of a Bundle", role: "ehr-system", note: "Ten at a time with their devices; the next link holds a sealed cursor.",
      url: () => path("/fhir/Observation", { patient: first.patient, category: "vital-signs", _include: "Observation:device", _total: "accurate", _count: 10 }) },
    { title: "The audit of this very click", role: "auditor", url: () => path("/fhir/AuditEvent", { patient: first.patient, date: "ge" + since(5000) }), run: audited },
    { title: "A refusal", role: "patient", note: "A patient's token may not read the audit log; an OperationOutcome says so.", url: () => "/fhir/AuditEvent" },
    { title: "What became of an upload", role: "app", note: `${first.name}'s upload: a record that is out of range and one of a type without mapping were refused, its neighbours were not.`,
      url: () => `/api/v1/sdk/users/${first.user}/uploads/${first.upload}` },
  ];

  // Reads as a clinician, then asks the audit log as an auditor for that request.
  async function audited(query) {
    const click = await ask("clinician", read());
    const answer = await ask("auditor", query.url());
    const found = answer.body?.entry?.find(({ resource }) => JSON.stringify(resource).includes(click.id));
    if (found) answer.body = found.resource;
    answer.note = found
      ? `Your click read ${click.url.slice(0, 30)}… as clinician: request ${click.id}, answered ${click.response.status}. This is its AuditEvent: the one that names the request.`
      : `Your click was request ${click.id}; no AuditEvent names it.`;
    return answer;
  }

  let shown = 0, last, following;

  async function show(query, item) {
    const turn = ++shown;
    const button = item?.querySelector("button.run");
    if (button) button.disabled = true;
    for (const other of document.querySelectorAll(".query")) other.toggleAttribute("data-on", other === item);
    place(item);
    let answer;
    try {
      const url = typeof query.url === "function" ? query.url() : query.url;
      answer = query.run ? await query.run(query) : await ask(query.role, url);
      if (turn === shown) tell(answer, answer.note ?? query.note);
    } catch (e) {
      if (turn === shown) { at("status").replaceChildren(make("span", { class: "badge bad" }, "No answer"), `${e.message}. Is the server running?`); at("body").hidden = at("foot").hidden = true; }
    } finally {
      if (button) button.disabled = false;
    }
    return answer;
  }

  // On a narrow screen the answer stands under its question.
  function place(item) {
    const narrow = matchMedia("(max-width: 900px)").matches, answer = at("answer");
    if (narrow && item) item.after(answer); else document.querySelector(".ask").append(answer);
    if (narrow && !item) answer.scrollIntoView({ block: "nearest" });
  }

  function tell(answer, note) {
    const { response, body, text, took, id } = answer;
    last = answer;
    const badge = make("span", { class: "badge" + (response.status >= 500 ? " bad" : response.status >= 400 ? " warn" : "") }, `${response.status} ${response.statusText}`.trim());
    const kind = body?.resourceType ? (body.resourceType === "Bundle" ? `Bundle, ${body.entry?.length ?? 0} entries` + (body.total === undefined ? "" : ` of ${body.total}`) : body.resourceType) : "JSON";
    at("status").replaceChildren(badge, make("span", {}, kind), make("span", {}, `${took.toFixed(0)} ms`), make("span", {}, `as ${answer.role}`), make("span", {}, `request ${id ?? "unknown"}`));
    at("note").hidden = !note;
    at("note").textContent = note ?? "";
    const pre = at("body");
    pre.hidden = at("foot").hidden = false;
    colour(pre, body === undefined ? text : JSON.stringify(body, null, 2));
    pre.scrollTop = 0;
    following = body?.link?.find((link) => link.relation === "next")?.url;
    at("next").hidden = !following;
    at("copied").textContent = "";
  }

  const MOST = 600;
  function colour(pre, text) {
    const lines = text.split("\n"), cut = lines.length - MOST;
    const shownText = cut > 0 ? lines.slice(0, MOST).join("\n") + `\n… ${cut} more lines` : text;
    const pieces = document.createDocumentFragment();
    let from = 0;
    for (const match of shownText.matchAll(/("(?:\\.|[^"\\])*")(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g)) {
      pieces.append(shownText.slice(from, match.index), make("span", { class: match[1] ? (match[2] ? "k" : "s") : "n" }, match[1] ?? match[0]), match[2] ?? "");
      from = match.index + match[0].length;
    }
    pieces.append(shownText.slice(from));
    pre.replaceChildren(pieces);
  }

  at("next").addEventListener("click", () => {
    const link = new URL(following);
    const item = document.querySelector(".query[data-on]");
    show({ role: last.role, url: link.pathname + link.search, note: "The page after it, by its next link." }, item);
  });
  at("copy").addEventListener("click", async () => {
    const [[name, value]] = Object.entries(headers(last.role));
    const line = `curl -s -H '${name}: ${value}' '${new URL(last.url, location.origin)}'`;
    try { await navigator.clipboard.writeText(line); at("copied").textContent = "Copied, with its token."; }
    catch { at("copied").textContent = line; }
  });

  const items = QUERIES.map((query, n) => {
    const url = make("div", { class: "path" });
    const button = make("button", { type: "button", class: "run", "aria-label": `Run query ${n + 1}: ${query.title}` }, "Run");
    const item = make("li", { class: "query" }, make("h3", {}, `${n + 1}. ${query.title}`, make("span", { class: "role" }, `as ${query.role}`)), button, url);
    const write = () => { url.textContent = "GET " + decodeURIComponent(query.url()); };
    write();
    ready.push(write);
    button.addEventListener("click", () => { write(); show(query, item); });
    at("list").append(item);
    return item;
  });

  // `#run=3` runs a query when the page has loaded, `#run=all` all of them; data-ran says how they ended.
  async function hash() {
    const [, which] = /^#run=(all|[1-6])$/.exec(location.hash) ?? [];
    const wanted = which === "all" ? [1, 2, 3, 4, 5, 6] : which ? [Number(which)] : [];
    const ran = [];
    for (const n of wanted) {
      const answer = await show(QUERIES[n - 1], items[n - 1]);
      ran.push(`${n}:${answer?.response.status ?? "none"}`);
    }
    document.body.dataset.ran = ran.join(" ");
  }

  // ---- the app

  at("logins").append(...DATA.logins.map(([name, password]) => make("li", {}, make("code", {}, name), " with ", make("code", {}, password))));
  at("launch").addEventListener("click", async () => {
    const said = at("launched"), patient = DATA.people[0].patient;
    const asked = { method: "POST", headers: { "Content-Type": "application/json", ...headers("ehr-system") },
      body: JSON.stringify({ client_id: DATA.launch.client, patient, need_patient_banner: true }) };
    const response = await fetch("/oauth/launch", asked);
    const body = await response.json();
    if (!response.ok) { said.textContent = `The launch was refused: ${response.status}`; return; }
    location.assign(`${DATA.launch.url}?${new URLSearchParams({ iss: location.origin + "/fhir", launch: body.launch })}`);
  });

  Promise.allSettled(DATA.people.map(card)).then(() => { for (const write of ready) write(); return hash(); });
  addEventListener("hashchange", hash);
})();
