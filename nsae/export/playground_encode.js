// The encoder: the equations of nsae in JavaScript, with the numbers that they have there.
// `model` has W (h, d), b (h,), the transposed decoder Vt (h, d) and c (d,), each as one long array, row by row.

// (1)  y = W x + b: one number for each unit, which says how well x fits to the unit's row of W.
function preactivation(x) {
  const y = new Float64Array(model.h);
  for (let j = 0; j < model.h; j++) {
    let sum = 0;
    for (let l = 0; l < model.d; l++) sum += model.W[j * model.d + l] * x[l];
    y[j] = sum + model.b[j];
  }
  return y;
}

// (4)  z = g(y).  k-sparse and ReLU: the k largest entries of y stay if they are above 0; the others become 0.
// Of equal entries, the one with the lowest number comes first.  (ReLU alone is k = h.)
function activate(y, k) {
  if (model.activation === "sigmoid") return y.map(v => 1 / (1 + Math.exp(-v)));
  const above = [...y.keys()].filter(j => y[j] > 0);
  above.sort((i, j) => y[j] - y[i] || i - j);
  const z = new Float64Array(model.h);
  for (const j of above.slice(0, k)) z[j] = y[j];
  return z;
}

// (2)  The code of x.
function encode(x, k = model.k) {
  return activate(preactivation(x), k);
}

// (3)  x̂ = o(V z + c): the patterns of the active units, each z times, added up.
function decode(z) {
  const u = Float64Array.from(model.c);
  for (let j = 0; j < model.h; j++) {
    if (z[j]) for (let l = 0; l < model.d; l++) u[l] += z[j] * model.Vt[j * model.d + l];
  }
  return model.output === "sigmoid" ? u.map(v => 1 / (1 + Math.exp(-v))) : u;
}

// (26)  What each unit contributes to the cosine of two codes.  All contributions together are 1 − distance (23).
function contributions(q, z) {
  const norms = Math.sqrt(dot(q, q) * dot(z, z));
  return norms > 0 ? q.map((value, j) => value * z[j] / norms) : new Float64Array(q.length);
}

function dot(q, z) {
  let sum = 0;
  for (let j = 0; j < q.length; j++) sum += q[j] * z[j];
  return sum;
}
