// What the pages do in the browser: the chart of the overview, and the stream of the live page. No page needs it to be read.
"use strict";

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function utc(seconds) {
  return new Date(seconds * 1000).toISOString().slice(0, 19) + "Z";
}

function shown(seconds) {
  return new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");
}

// A day where it begins, else a time of it.
function label(seconds, before, between) {
  const [day, time] = shown(seconds).split(" ");
  if (between >= 86400) return day.slice(5);
  return shown(before).slice(0, 10) === day ? time : `${time}\n${day.slice(5)}`;
}

// Stacked columns, one an interval. Dragging leads to that period, a click to the records of a column.
function chart(place) {
  const given = JSON.parse(place.dataset.chart);
  const names = Object.keys(given.series);
  const readout = place.parentElement.querySelector(".readout");
  const hint = readout.textContent;
  const sums = given.t.map(() => 0);
  const stacked = names.map((name) => given.series[name].map((count, at) => (sums[at] += count)));
  const bars = uPlot.paths.bars({ size: [0.86, 64], align: 1, gap: 1 });
  let plot = null;

  function draw() {
    if (plot !== null) plot.destroy();
    const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    // The highest comes first, so that the lower ones are drawn over it.
    const order = names.map((_, at) => at).reverse();
    plot = new uPlot(
      {
        width: place.clientWidth,
        height: place.clientHeight,
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
        legend: { show: false },
        padding: [8, 4, 0, 0],
        cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
        scales: { x: { range: () => [given.t[0], given.t[given.t.length - 1] + given.step] }, y: { range: (_, __, most) => [0, Math.max(1, most * 1.06)] } },
        axes: [{ ...axis, grid: { show: false }, space: 64, values: (_, ticks, __, ___, between) => ticks.map((one, at) => label(one, at ? ticks[at - 1] : 0, between)) }, { ...axis, size: 54, space: 42, values: (_, ticks) => ticks.map((one) => (Number.isInteger(one) ? one.toLocaleString("en") : "")) }],
        series: [{}, ...order.map((at) => ({ fill: colour(`--${names[at]}-fill`), width: 0, paths: bars, points: { show: false } }))],
        hooks: {
          setCursor: [(self) => tell(self.cursor.left >= 0 ? self.posToVal(self.cursor.left, "x") : null)],
          setSelect: [
            (self) => {
              if (self.select.width < 4) return;
              const from = self.posToVal(self.select.left, "x");
              const to = self.posToVal(self.select.left + self.select.width, "x");
              location.assign("/?from=" + utc(Math.floor(from)) + "&to=" + utc(Math.ceil(to)));
            },
          ],
        },
      },
      [given.t, ...order.map((at) => stacked[at])],
      place,
    );
    plot.over.addEventListener("click", (event) => {
      if (plot.select.width >= 4) return;
      const at = column(plot.posToVal(event.offsetX, "x"));
      if (at >= 0) location.assign("/search?from=" + utc(given.t[at]) + "&to=" + utc(given.t[at] + given.step));
    });
  }

  function column(seconds) {
    return given.t.findIndex((begin) => seconds >= begin && seconds < begin + given.step);
  }

  function tell(seconds) {
    const at = seconds === null ? -1 : column(seconds);
    if (at < 0) {
      readout.textContent = hint;
      return;
    }
    const counts = names.filter((name) => given.series[name][at]).map((name) => `${name.replace("_", " ")} ${given.series[name][at].toLocaleString("en")}`);
    readout.textContent = `${shown(given.t[at])} – ${shown(given.t[at] + given.step).slice(11)} UTC   ${counts.join("   ") || "nothing"}`;
  }

  draw();
  new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: place.clientHeight })).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

// Rows as they arrive. Each event's id says how far the stream is: after a pause, or a lost connection, it goes on there.
function live(place) {
  const most = 500;
  const body = place.querySelector("tbody");
  const state = document.getElementById("live-state");
  const pause = document.getElementById("live-pause");
  const fault = document.getElementById("live-fault");
  const none = document.querySelector(".live-none");
  let after = place.dataset.after;
  let source = null;
  let count = 0;

  function say(text, kind) {
    state.textContent = text;
    state.parentElement.className = "live-state " + kind;
  }

  function told() {
    say(count ? `live, ${count.toLocaleString("en")} since you look` : "live", "is-live");
  }

  function take(event) {
    after = event.lastEventId || after;
    fault.hidden = true;
    const part = document.createElement("template");
    // Made by the server's templates, which escape all that was recorded.
    part.innerHTML = "<table><tbody>" + event.data + "</tbody></table>";
    for (const row of part.content.querySelectorAll("tr")) {
      if (body.querySelector(`tr[data-id="${CSS.escape(row.dataset.id)}"]`)) continue;
      row.classList.add("fresh");
      body.prepend(row);
      count += 1;
    }
    while (body.rows.length > most) body.lastElementChild.remove();
    none.hidden = body.rows.length > 0;
    told();
  }

  function open() {
    const joint = place.dataset.stream.endsWith("?") ? "" : "&";
    source = new EventSource(place.dataset.stream + joint + "after=" + encodeURIComponent(after));
    source.addEventListener("open", told);
    source.addEventListener("rows", take);
    source.addEventListener("place", (event) => (after = event.lastEventId || after));
    source.addEventListener("fault", (event) => {
      fault.textContent = event.data;
      fault.hidden = false;
    });
    source.addEventListener("ended", () => location.assign("/login?back=/live"));
    source.addEventListener("error", () => {
      say("the connection is lost; trying again …", "is-broken");
      // Opened anew with where it was, since a browser gives up for good on some answers.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => source !== null && source.readyState === EventSource.CLOSED && open(), 3000);
    });
  }

  pause.addEventListener("click", () => {
    const paused = source !== null;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Resume" : "Pause";
    if (paused) {
      source.close();
      source = null;
      say("paused; what comes is shown when you resume", "");
    } else {
      open();
    }
  });
  open();
}

document.querySelectorAll("[data-chart]").forEach(chart);
const stream = document.querySelector("[data-stream]");
if (stream !== null) live(stream);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const one of document.querySelectorAll("details.pick[open]")) {
    one.open = false;
    one.querySelector("summary").focus();
  }
});
