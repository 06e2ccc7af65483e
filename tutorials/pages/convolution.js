const side = data.side;
let pixel = [2, 2];

// The products that make dx[r,c]: p s + i = r + padding leads from a row of x back to p and i.
function terms([r, c], s, padding, k, out) {
  const found = [];
  for (let i = 0; i < k; i++)
    for (let j = 0; j < k; j++) {
      const p = (r + padding - i) / s, q = (c + padding - j) / s;
      if (Number.isInteger(p) && Number.isInteger(q) && p >= 0 && q >= 0 && p < out && q < out)
        found.push({ i, j, p, q, dy: data.dy[p][q], w: data.w[i][j] });
    }
  return found;
}

// A square of n x n cells; `describe(row, column)` gives the text and the classes of each.
function draw(id, n, size, name, describe) {
  const cells = [];
  for (let r = 0; r < n; r++)
    for (let c = 0; c < n; c++) {
      const [text, kind] = describe(r, c);
      cells.push(html(name, { class: "cell " + kind }, String(text)));
    }
  $(id).style.gridTemplateColumns = `repeat(${n}, minmax(0, ${size}px))`;
  $(id).replaceChildren(...cells);
  return cells;
}

function show() {
  const s = read("stride"), padding = read("padding"), k = read("kernel");
  const out = Math.floor((side + 2 * padding - k) / s) + 1;
  const used = terms(pixel, s, padding, k, out);
  const dx = data.dx[[s, padding, k]];
  const [r, c] = pixel, top = r + padding, left = c + padding;

  const focused = $("dx").contains(document.activeElement);
  const cells = draw("dx", side, 44, "button", (a, b) =>
    [dx[a][b], "dx" + (a === r && b === c ? " chosen" : "")]);
  cells.forEach((cell, at) => {
    const a = Math.floor(at / side), b = at % side, here = a === r && b === c;
    fill(cell, { tabindex: here ? 0 : -1, "aria-pressed": here,
                 "aria-label": `dx[${a},${b}] is ${dx[a][b]}` }, []);
    cell.onclick = () => choose(a, b);
  });
  if (focused) cells[r * side + c].focus();

  draw("spread", side + 2 * padding + k - 1, 36, "span", (a, b) => {
    const inside = a >= top && a < top + k && b >= left && b < left + k ? " window" : "";
    const p = (a - k + 1) / s, q = (b - k + 1) / s;
    const isDy = Number.isInteger(p) && Number.isInteger(q) && p >= 0 && q >= 0 && p < out && q < out;
    return isDy ? [data.dy[p][q], (inside && "used") + inside] : ["·", "gap" + inside];
  });
  draw("flipped", k, 44, "span", (a, b) => {
    const i = k - 1 - a, j = k - 1 - b;
    return [data.w[i][j], used.some((t) => t.i === i && t.j === j) ? "used" : ""];
  });

  const total = used.reduce((sum, t) => sum + t.dy * t.w, 0);
  $("name").textContent = `dx[${r},${c}]`;
  $("sum").textContent = used.length
    ? `${used.map((t) => `${t.dy}·${t.w < 0 ? `(${t.w})` : t.w}`).join(" + ").replaceAll("+ -", "- ")} = ${total}`
    : "0: no window reached this pixel";
  $("sum").dataset.total = total;
  $("terms").replaceChildren(...used.map((t) =>
    html("li", {}, `dy[${t.p},${t.q}] w[${t.i},${t.j}] = ${t.dy} · ${t.w} = ${t.dy * t.w}`)));
}

function choose(r, c) {
  const last = side - 1;
  pixel = [Math.min(last, Math.max(0, r)), Math.min(last, Math.max(0, c))];
  show();
}

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
$("dx").addEventListener("keydown", (event) => {
  if (!(event.key in STEPS)) return;
  event.preventDefault();
  choose(pixel[0] + STEPS[event.key][0], pixel[1] + STEPS[event.key][1]);
});
$("dx").addEventListener("pointerover", (event) => {
  const at = [...$("dx").children].indexOf(event.target);
  if (at >= 0 && at !== pixel[0] * side + pixel[1]) choose(Math.floor(at / side), at % side);
});
live(show);
