const M = data.x.length;
const batch = { x: [...data.x], dy: [...data.dy] };
const sum = (values) => values.reduce((a, b) => a + b, 0);

// The three terms of each dx, by the formula of kernels/batch_norm.
function backward(x, dy) {
  const mean = sum(x) / M, variance = sum(x.map((v) => (v - mean) ** 2)) / M;
  const inv_std = 1 / Math.sqrt(variance + data.eps);
  const x_hat = x.map((v) => (v - mean) * inv_std);
  const scale = data.gamma * inv_std;
  const dbeta = sum(dy), dgamma = sum(dy.map((g, i) => g * x_hat[i]));
  const direct = dy.map((g) => scale * g);
  const byMean = dy.map(() => (-scale * dbeta) / M);
  const byVariance = x_hat.map((h) => (-scale * h * dgamma) / M);
  const dx = direct.map((d, i) => d + byMean[i] + byVariance[i]);
  return { mean, variance, x_hat, terms: [direct, byMean, byVariance], dx };
}

const WIDTH = 400, MIDDLE = WIDTH / 2, COLOURS = ["--sky", "--orange", "--green"];

// Bars to the right of the middle for what is positive, to the left for what is negative.
function bars(terms, dx, scale, name) {
  const ends = { right: MIDDLE, left: MIDDLE };
  const shapes = terms.map((term, i) => {
    const width = Math.abs(term) * scale, side = term < 0 ? "left" : "right";
    if (side === "left") ends.left -= width;
    const x = ends[side];
    if (side === "right") ends.right += width;
    return svg("rect", { x, y: 6, width, height: 20, style: `fill: var(${COLOURS[i]})` });
  });
  const line = (x, width, colour) => svg("line",
    { x1: x, x2: x, y1: 0, y2: 32, "stroke-width": width, style: `stroke: var(${colour})` });
  return svg("svg", { viewBox: `0 0 ${WIDTH} 32`, role: "img", "aria-label": name }, ...shapes,
    line(MIDDLE, 1, "--line"), line(MIDDLE + dx * scale, 9, "--paper"),
    line(MIDDLE + dx * scale, 4, "--ink"));
}

function show() {
  const what = chosen("what");
  batch.x.forEach((_, i) => {
    const slider = $(`value-${i}`);
    if (slider.dataset.what === what) batch[what][i] = Number(slider.value);
    slider.value = batch[what][i];
    slider.dataset.what = what;
    $(`name-${i}`).textContent = `${what}[${i}]`;
    $(`value-${i}-value`).textContent = fixed(batch[what][i], 1);
  });
  const { mean, variance, x_hat, terms, dx } = backward(batch.x, batch.dy);
  const longest = Math.max(1e-9, ...dx.map((_, i) => sum(terms.map((t) => Math.abs(t[i])))));
  dx.forEach((value, i) => {
    const three = terms.map((t) => t[i]);
    const words = three.map((t) => fixed(t)).join(" + ").replaceAll("+ -", "- ");
    $(`bars-${i}`).replaceChildren(
      bars(three, value, (MIDDLE - 6) / longest, `dx[${i}] = ${words} = ${fixed(value)}`));
    $(`dx-${i}`).textContent = `dx[${i}] = ${fixed(value)}`;
    $(`dx-${i}`).dataset.value = value;
  });
  ["direct", "mean", "variance"].forEach((name, i) => {
    $("sum-" + name).textContent = fixed(sum(terms[i]));
  });
  $("sum-dx").textContent = fixed(sum(dx));
  $("sum-hat").textContent = fixed(sum(dx.map((d, i) => d * x_hat[i])));
  $("mean").textContent = fixed(mean);
  $("var").textContent = fixed(variance);
}

batch.x.forEach((_, i) => {
  const slider = html("input", { type: "range", id: `value-${i}`, min: -4, max: 4, step: 0.1 });
  $("rows").append(html("div", { class: "row" },
    html("label", {}, html("span", { id: `name-${i}`, class: "mono" }), slider,
      html("output", { id: `value-${i}-value`, for: `value-${i}` })),
    html("div", { id: `bars-${i}`, style: "flex: 2 1 18rem; min-width: 0" }),
    html("span", { id: `dx-${i}`, class: "dx mono" })));
});
$("again").onclick = () => {
  Object.assign(batch, { x: [...data.x], dy: [...data.dy] });
  for (let i = 0; i < M; i++) $(`value-${i}`).dataset.what = "";
  show();
};
live(show);

const errors = data.checks.flatMap((check) =>
  backward(check.x, data.dy).dx.map((value, i) => Math.abs(value - check.dx[i])));
const right = Math.max(...errors) < 1e-8;
$("checked").textContent =
  `This page's ${errors.length} dx of ${data.checks.length} batches ${right ? "are" : "ARE NOT"} those of minires.`;
