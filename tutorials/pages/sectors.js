const NUMBERS = 8;  // in a sector of 32 bytes

// The elements that the 32 lanes ask for, first of each.
function elements(load) {
  const { first, patterns, which } = load.from;
  const pattern = patterns[which ? which[load.warp][load.at] : 0];
  return pattern.map((offset) => first[load.warp][load.at] + offset);
}

// Sector -> for each of its eight numbers, the lanes that want it.
function sectorsOf(asked, size) {
  const found = new Map();
  asked.forEach((element, lane) => {
    for (let e = element; e < element + size; e++) {
      const sector = Math.floor(e / NUMBERS);
      if (!found.has(sector)) found.set(sector, Array.from({ length: NUMBERS }, () => []));
      found.get(sector)[e % NUMBERS].push(lane);
    }
  });
  return new Map([...found].sort((a, b) => a[0] - b[0]));
}

function cell(x, y, size, words, wanted, marked) {
  const colour = marked ? "--red" : wanted ? "--orange" : "--line";
  return [
    svg("rect", { x, y, width: size - 2, height: size - 2, rx: 2, "stroke-width": marked ? 4 : 1,
      style: `fill: var(${wanted ? "--mark" : "--paper"}); stroke: var(${colour})` }),
    label(x + size / 2 - 1, y + size / 2 + 3, words, { "font-size": size < 30 ? 10 : 13, "text-anchor": "middle" }),
  ];
}

function lanes(asked, marked) {
  const shapes = asked.flatMap((element, lane) =>
    cell(2 + (lane % 8) * 40, 2 + Math.floor(lane / 8) * 40, 40, lane, true, lane === marked));
  const picture = svg("svg", { viewBox: "0 0 324 164", role: "img",
    "aria-label": "The lanes of the warp; click one" }, ...shapes);
  picture.onclick = (event) => {
    const box = picture.getBoundingClientRect(), scale = 324 / box.width;
    const [c, r] = [event.clientX - box.left, event.clientY - box.top].map((v) => Math.floor((v * scale - 2) / 40));
    if (c < 0 || c > 7 || r < 0 || r > 3) return;
    $("lane").value = r * 8 + c;
    show();
  };
  return picture;
}

function memory(sectors, marked) {
  const shapes = [], size = 21, column = NUMBERS * size + 14;
  [...sectors].forEach(([sector, numbers], at) => {
    const x = 4 + (at % 2) * column, y = Math.floor(at / 2) * 44;
    shapes.push(label(x, y + 14, `sector ${sector}`, { "font-size": 12, class: "quiet" }));
    numbers.forEach((who, i) => shapes.push(...cell(x + i * size, y + 19, size,
      who.length > 1 ? `x${who.length}` : String(who), who.length > 0, who.includes(marked))));
  });
  return svg("svg", { viewBox: `0 0 ${2 * column - 6} ${Math.ceil(sectors.size / 2) * 44}`, role: "img",
    "aria-label": `${sectors.size} sectors` }, ...shapes);
}

const kB = (bytes) => (bytes / 1000).toFixed(1);

function show() {
  const rung = chosen("rung"), array = chosen("array"), from = data[rung][array];
  $("warp").max = from.first.length - 1;
  $("load").max = from.first[0].length - 1;
  const load = { from, warp: read("warp"), at: read("load") }, lane = read("lane");
  const asked = elements(load), sectors = sectorsOf(asked, from.size);
  const numbers = new Set(asked).size * from.size, moved = sectors.size * NUMBERS;
  $("line").textContent = from.line;
  $("lanes").replaceChildren(lanes(asked, lane));
  $("memory").replaceChildren(memory(sectors, lane));
  $("sentence").textContent =
    `Load ${load.at + 1} of ${from.first[0].length}: the 32 lanes want ${numbers} different numbers of ${array}, ` +
    `${4 * numbers} bytes. They lie in ${sectors.size} ${sectors.size === 1 ? "sector" : "sectors"}: ${4 * moved} bytes move, ` +
    `${Math.round((100 * numbers) / moved)} % of them wanted. Lane ${lane} asks for ${array}'s element ${asked[lane]}` +
    (from.size > 1 ? ` and the ${from.size - 1} after it.` : ".");
  $("sentence").dataset.sectors = sectors.size;
  $("table").replaceChildren(...Object.entries(data).map(([name, { sums }]) =>
    html("tr", { class: name === rung ? "chosen" : "", "data-rung": name },
      html("td", {}, name.replaceAll("_", " ")), html("td", {}, String(sums.loads)),
      html("td", {}, kB(sums.bytes_loaded)), html("td", {}, kB(32 * sums.sectors_loaded)),
      html("td", {}, kB(32 * sums.distinct_loaded)))));
}
live(show);
