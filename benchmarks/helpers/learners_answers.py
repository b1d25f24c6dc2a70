"""Answers to the exercises of ``nsae learn`` in other words than nsae's: right ones, and wrong ones.

``RIGHT`` has at least two right answers for each function: with loops, with einsum, in float32, with lists.
``WRONG`` has for some of the known mistakes an answer that makes it in another way than the list of nsae does.
"""

RIGHT: dict[str, list[str]] = {
    "forward": [
        """
def forward(X, W, b, V, c):
    Y = np.einsum("bd,hd->bh", X, W) + b[None, :]
    Z = np.where(Y > 0, Y, 0)
    return Z, np.einsum("bh,dh->bd", Z, V) + c
""",
        """
def forward(samples, W, b, V, c):
    codes, outputs = [], []
    for x in samples:
        z = [max(float(w @ x + bj), 0.0) for w, bj in zip(W, b)]
        codes.append(z)
        outputs.append([sum(v * a for v, a in zip(row, z)) + cl for row, cl in zip(V, c)])
    return codes, outputs
""",
        """
def forward(X, W, b, V, c):
    X, W, b, V, c = (np.asmatrix(A) for A in (X, W, b, V, c))
    Y = X * W.T + b
    Z = np.multiply(Y, Y > 0)
    return [Z, Z * V.T + c]
""",
    ],
    "sigmoid": [
        """
def sigmoid(Y):
    return 0.5 * (1 + np.tanh(Y / 2))
""",
        """
def sigmoid(Y):
    Z = np.empty_like(Y)
    up = Y >= 0
    Z[up] = 1 / (1 + np.exp(-Y[up]))
    Z[~up] = np.exp(Y[~up]) / (1 + np.exp(Y[~up]))
    return Z
""",
        """
import math

def sigmoid(Y):
    def one(y):
        return 1 / (1 + math.exp(-y)) if y > -700 else 0.0
    return [[one(y) for y in row] for row in Y.tolist()]
""",
        """
def sigmoid(Y):
    return np.exp(-np.logaddexp(0, -Y))
""",
    ],
    "squared_error": [
        """
def squared_error(X, X_hat):
    total = 0
    for x, x_hat in zip(X, X_hat):
        for a, b in zip(x, x_hat):
            total += (a - b) ** 2
    return total / (2 * X.shape[0])
""",
        """
def squared_error(X, X_hat):
    return np.mean(np.linalg.norm(X_hat - X, axis=1) ** 2) / 2
""",
        """
def squared_error(X, X_hat):
    E = X_hat.astype(np.float32) - X.astype(np.float32)
    return np.einsum("bd,bd->", E, E) / E.shape[0] * np.float32(0.5)
""",
    ],
    "cross_entropy": [
        """
def cross_entropy(X, U):
    return np.mean(np.sum(np.logaddexp(0, U) - U * X, axis=1))
""",
        """
from math import exp, log1p

def cross_entropy(X, U):
    J = 0.0
    for x, u in zip(X.ravel(), U.ravel()):
        J += max(u, 0) - u * x + log1p(exp(-abs(u)))
    return np.array([J / len(U)])
""",
    ],
    "kl_penalty": [
        """
def kl_penalty(Z, beta, rho):
    total = 0.0
    for j in range(Z.shape[1]):
        r = Z[:, j].mean()
        total += rho * np.log(rho / r) + (1 - rho) * np.log((1 - rho) / (1 - r))
    return beta * total
""",
        """
def kl_penalty(Z, beta, rho):
    r = np.clip(np.sum(Z, 0) / Z.shape[0], 1e-12, 1 - 1e-12)
    entropy = rho * np.log(rho) + (1 - rho) * np.log(1 - rho)
    return beta * (entropy * len(r) - np.sum(rho * np.log(r) + (1 - rho) * np.log(1 - r)))
""",
    ],
    "kl_gradient": [
        """
def kl_gradient(Z, beta, rho):
    r = np.average(Z, axis=0)
    return beta * (r - rho) / (r * (1 - r)) / Z.shape[0]
""",
        """
def kl_gradient(Z, beta, rho):
    B, h = Z.shape
    G = np.zeros((B, h))
    for j in range(h):
        r = sum(Z[i, j] for i in range(B)) / B
        for i in range(B):
            G[i, j] = beta / B * (-rho / r + (1 - rho) / (1 - r))
    return G
""",
    ],
    "output_gradient": [
        """
def output_gradient(X, X_hat, sigmoid_then_squared):
    slope = X_hat - X_hat**2 if sigmoid_then_squared else 1
    return -(X - X_hat) * slope / X.shape[0]
""",
        """
def output_gradient(X, X_hat, sigmoid_then_squared):
    dU = X_hat.copy()
    dU -= X
    dU /= float(len(dU))
    if sigmoid_then_squared == True:
        dU *= X_hat
        dU *= 1 - X_hat
    return dU
""",
    ],
    "decoder_gradients": [
        """
def decoder_gradients(dU, Z, V, c, gamma):
    dV = gamma * V
    dc = np.zeros_like(c)
    for du, z in zip(dU, Z):
        dV += np.outer(du, z)
        dc += du
    return dV, dc
""",
        """
def decoder_gradients(dU, Z, V, c, gamma):
    return np.einsum("bd,bh->dh", dU, Z) + gamma * V, np.ones(len(dU)) @ dU
""",
        """
def decoder_gradients(dU, Z, V, c, gamma):
    return [(Z.T @ dU).T + V * gamma, [sum(column) for column in dU.T]]
""",
    ],
    "code_gradient": [
        """
def code_gradient(dU, V, Z, lam, beta, rho):
    B = Z.shape[0]
    r = Z.sum(axis=0) / B
    dZ = np.einsum("bd,dh->bh", dU, V)
    dZ[Z > 0] += lam / B
    dZ += beta * (r - rho) / (r * (1 - r)) / B
    return dZ
""",
        """
def code_gradient(dU, V, Z, lam, beta, rho):
    B, h = Z.shape
    dZ = np.zeros((B, h))
    for j in range(h):
        r = np.mean(Z[:, j])
        kl = -rho / r + (1 - rho) / (1 - r)
        for i in range(B):
            dZ[i, j] = np.dot(dU[i], V[:, j]) + (lam * (Z[i, j] != 0) + beta * kl) / B
    return dZ
""",
    ],
    "encoder_gradients": [
        """
def encoder_gradients(dZ, Y, Z, X, W, b, gamma, activation):
    dY = np.copy(dZ)
    if activation == "relu":
        dY[Y <= 0] = 0
    else:
        dY *= Z - Z**2
    return np.einsum("bh,bd->hd", dY, X) + gamma * W, np.add.reduce(dY)
""",
        """
def encoder_gradients(dZ, Y, Z, X, W, b, gamma, activation):
    dW, db = gamma * W, 0 * b
    for dz, y, z, x in zip(dZ, Y, Z, X):
        dy = dz * ((y > 0) if activation == "relu" else np.exp(-y) / (1 + np.exp(-y)) ** 2)
        dW = dW + dy[:, None] * x
        db = db + dy
    return dW.astype(np.float32), db.astype(np.float32)
""",
    ],
    "k_sparse": [
        """
def k_sparse(Y, k):
    out = np.zeros(Y.shape)
    for i in range(Y.shape[0]):
        order = sorted(range(Y.shape[1]), key=lambda j: (-Y[i, j], j))
        for j in order[:k]:
            if Y[i, j] > 0:
                out[i, j] = Y[i, j]
    return out
""",
        """
def k_sparse(Y, k):
    P = np.maximum(Y, 0)
    rank = np.argsort(np.argsort(-P, axis=1, kind="stable"), axis=1, kind="stable")
    return P * (rank < k)
""",
    ],
    "k_sparse_backward": [
        """
def k_sparse_backward(dZ, Y, Z):
    return np.where(Z == 0, 0.0, dZ)
""",
        """
def k_sparse_backward(dZ, Y, Z):
    dY = dZ.copy()
    for i in range(dY.shape[0]):
        for j in range(dY.shape[1]):
            if not Z[i][j]:
                dY[i][j] = 0
    return dY.tolist()
""",
    ],
    "adam_step": [
        """
def adam_step(theta, g, m1, m2, t, alpha, betas, eps):
    m1 = m1 + (1 - betas[0]) * (g - m1)
    m2 = m2 + (1 - betas[1]) * (np.square(g) - m2)
    step = alpha * (m1 / (1 - np.power(betas[0], t)))
    step /= np.sqrt(m2 / (1 - np.power(betas[1], t))) + eps
    return theta - step, m1, m2
""",
        """
def adam_step(theta, grad, m1, m2, t, alpha, betas, eps):
    theta, m1, m2 = theta.copy(), m1.copy(), m2.copy()
    b1, b2 = betas
    for i in np.ndindex(theta.shape):
        m1[i] = b1 * m1[i] + (1 - b1) * grad[i]
        m2[i] = b2 * m2[i] + (1 - b2) * grad[i] * grad[i]
        theta[i] -= alpha * (m1[i] / (1 - b1**t)) / ((m2[i] / (1 - b2**t)) ** 0.5 + eps)
    return [theta, m1, m2]
""",
    ],
    "tangent": [
        """
def tangent(dV, V):
    out = np.empty_like(dV)
    for j in range(V.shape[1]):
        v, g = V[:, j], dV[:, j]
        out[:, j] = g - (v @ g) * v
    return out
""",
        """
def tangent(dV, V):
    return dV - V @ np.diag(np.einsum("dh,dh->h", V, dV))
""",
        """
def tangent(dV, V):
    return dV - V * np.diag(V.T @ dV)
""",
    ],
    "normalise_columns": [
        """
def normalise_columns(V):
    V = V.copy()
    for j in range(V.shape[1]):
        length = np.linalg.norm(V[:, j])
        if length > 0:
            V[:, j] /= length
    return V
""",
        """
def normalise_columns(V):
    return V / (np.linalg.norm(V, axis=0, keepdims=True) + 1e-12)
""",
    ],
    "train": [
        """
def train(model, optimizer, X, epochs, batch_size, rng):
    history = []
    rows = list(range(len(X)))
    for epoch in range(epochs):
        rng.shuffle(rows)
        i = 0
        while i < len(rows):
            batch = np.array([X[r] for r in rows[i : i + batch_size]])
            Z, U = model.forward(batch)
            history.append(float(model.losses(batch, Z, U).total))
            optimizer.step(model.params, model.backward(batch, Z, U))
            i += batch_size
    return np.array(history)
""",
        """
def train(model, optimizer, X, epochs, batch_size, rng):
    losses = []
    for e in range(epochs):
        data = X[rng.permutation(X.shape[0])]
        for batch in np.split(data, range(batch_size, len(data), batch_size)):
            J, grads = model.loss_and_grads(batch)
            losses += [J]
            optimizer.step(params=model.params, grads=grads)
    return tuple(losses)
""",
    ],
    "inverted_lists": [
        """
def inverted_lists(Z):
    return [(np.nonzero(column)[0], column[column != 0]) for column in Z.T]
""",
        """
def inverted_lists(Z):
    lists = {}
    for j in range(len(Z[0])):
        rows, values = [], []
        for i in range(len(Z)):
            if Z[i, j] > 0:
                rows.append(i)
                values.append(Z[i, j])
        lists[j] = rows, values
    return lists
""",
    ],
    "cosine_search": [
        """
def cosine_search(q, lists, norms, k):
    scores = {}
    for j, value in enumerate(q):
        if value:
            for row, other in zip(*lists[j]):
                scores[int(row)] = scores.get(int(row), 0.0) + value * other
    length = np.linalg.norm(q)
    found = [(1 - scores[i] / (length * norms[i]) if i in scores else 1.0, i) for i in range(len(norms))]
    found.sort()
    return [i for _, i in found[:k]], [distance for distance, _ in found[:k]]
""",
        """
def cosine_search(q, lists, norms, k):
    dots = np.zeros(norms.shape)
    for (rows, values), qj in zip(lists, q):
        np.add.at(dots, rows, qj * values)
    safe = np.where(norms == 0, 1, norms) * np.sqrt(q @ q)
    d = 1 - dots / safe
    best = np.lexsort((np.arange(len(d)), d))[:k]
    return best, d[best]
""",
    ],
}

WRONG: dict[str, dict[str, str]] = {
    "forward": {
        "W is not transposed": "def forward(X, W, b, V, c):\n    Z = np.dot(X, W) + b\n    return Z, Z",
        "the decoder uses W": """
def forward(X, W, b, V, c):
    Z = np.einsum("bd,hd->bh", X, W) + b
    Z[Z < 0] = 0
    return Z, np.einsum("bh,hd->bd", Z, W) + c
""",
    },
    "sigmoid": {
        "it overflows": "def sigmoid(Y):\n    return (1 + np.exp(-Y)) ** -1",
        "NaN for very positive entries": "def sigmoid(Y):\n    e = np.exp(Y)\n    return e / (e + 1)",
    },
    "squared_error": {
        "a mean over features too": "def squared_error(X, X_hat):\n    return ((X - X_hat) ** 2).mean() / 2",
        "the ½ is forgotten": "def squared_error(X, X_hat):\n    return np.linalg.norm(X - X_hat) ** 2 / len(X)",
    },
    "cross_entropy": {
        "it overflows for large u": """
def cross_entropy(X, U):
    return (np.log(np.exp(U) + 1) - X * U).sum(1).mean()
""",
        "a mean over features too": "def cross_entropy(X, U):\n    return np.mean(np.logaddexp(0, U) - X * U)",
    },
    "kl_penalty": {
        "the arguments are swapped, KL(ρ̂ ‖ ρ)": """
def kl_penalty(Z, beta, rho):
    r = np.mean(Z, 0)
    return beta * sum(p * np.log(p / rho) + (1 - p) * np.log((1 - p) / (1 - rho)) for p in r)
""",
        "ρ̂ over the wrong axis": """
def kl_penalty(Z, beta, rho):
    return sum(beta * (rho * np.log(rho / p) + (1 - rho) * np.log((1 - rho) / (1 - p))) for p in map(np.mean, Z))
""",
    },
    "kl_gradient": {
        "1/B is forgotten": """
def kl_gradient(Z, beta, rho):
    r = Z.mean(0)
    return beta * (r - rho) / r / (1 - r)
""",
    },
    "output_gradient": {
        "the sign is reversed": """
def output_gradient(X, X_hat, sigmoid_then_squared):
    error = X - X_hat
    if sigmoid_then_squared:
        error *= X_hat * (1 - X_hat)
    return error / len(X)
""",
    },
    "decoder_gradients": {
        "a mean for a sum in dc": """
def decoder_gradients(dU, Z, V, c, gamma):
    return np.einsum('bd,bh->dh', dU, Z) + gamma * V, dU.sum(0) / len(dU)
""",
        "the weight decay is forgotten": """
def decoder_gradients(dU, Z, V, c, gamma):
    return sum(np.outer(u, z) for u, z in zip(dU, Z)), dU.sum(0)
""",
        "the product is the other way round": """
def decoder_gradients(dU, Z, V, c, gamma):
    return (dU.T @ Z + gamma * V).T, dU.sum(0)
""",
    },
    "code_gradient": {
        "the L1 term pushes units that are off": """
def code_gradient(dU, V, Z, lam, beta, rho):
    r, B = Z.mean(0), len(Z)
    return dU @ V + (lam + beta * (r - rho) / (r * (1 - r))) / B
""",
        "both penalties are forgotten": """
def code_gradient(dU, V, Z, lam, beta, rho):
    return np.einsum('bd,dh->bh', dU, V)
""",
    },
    "encoder_gradients": {
        "the gate is forgotten": """
def encoder_gradients(dZ, Y, Z, X, W, b, gamma, activation):
    return (X.T @ dZ).T + gamma * W, np.sum(dZ, 0)
""",
        "the slope of the sigmoid for both": """
def encoder_gradients(dZ, Y, Z, X, W, b, gamma, activation):
    dY = dZ * Z - dZ * Z * Z
    return np.einsum("bh,bd->hd", dY, X) + W * gamma, sum(dY)
""",
    },
    "k_sparse": {
        "negative entries stay": """
def k_sparse(Y, k):
    Z = 0 * Y
    for z, y in zip(Z, Y):
        for j in sorted(range(len(y)), key=lambda j: -y[j])[:k]:
            z[j] = y[j]
    return Z
""",
        "ties all stay": """
def k_sparse(Y, k):
    kth = -np.partition(-Y, k - 1, axis=1)[:, k - 1 : k]
    return np.where(Y >= kth, np.maximum(Y, 0), 0)
""",
    },
    "k_sparse_backward": {
        "the gate is taken from y": """
def k_sparse_backward(dZ, Y, Z):
    dY = dZ.copy()
    dY[Y <= 0] = 0
    return dY
""",
    },
    "adam_step": {
        "ε is inside the root": """
def adam_step(theta, g, m1, m2, t, alpha, betas, eps):
    a, b = betas
    m1, m2 = a * m1 + (1 - a) * g, b * m2 + (1 - b) * g * g
    return theta - alpha * m1 / (1 - a**t) * (m2 / (1 - b**t) + eps) ** -0.5, m1, m2
""",
        "ε stands beside the moment that is not corrected": """
def adam_step(theta, g, m1, m2, t, alpha, betas, eps):
    a, b = betas
    m1, m2 = a * m1 + (1 - a) * g, b * m2 + (1 - b) * g * g
    rate = alpha * np.sqrt(1 - b**t) / (1 - a**t)
    return theta - rate * m1 / (np.sqrt(m2) + eps), m1, m2
""",
    },
    "tangent": {
        "nothing is taken away": "def tangent(dV, V):\n    return np.array(dV)",
    },
    "normalise_columns": {
        "the norms are of rows": "def normalise_columns(V):\n    return np.array([v / np.linalg.norm(v) for v in V])",
        "a column of zeros becomes NaN": "def normalise_columns(V):\n    return V / np.linalg.norm(V, axis=0)",
    },
    "train": {
        "the rows are not shuffled": """
def train(model, optimizer, X, epochs, batch_size, rng):
    losses = []
    for _ in range(epochs):
        for i in range(0, len(X), batch_size):
            J, grads = model.loss_and_grads(X[i : i + batch_size])
            optimizer.step(model.params, grads)
            losses.append(J)
    return losses
""",
        "the last batch is skipped": """
def train(model, optimizer, X, epochs, batch_size, rng):
    losses = []
    for _ in range(epochs):
        rows = list(range(len(X)))
        rng.shuffle(rows)
        for i in range(len(X) // batch_size):
            J, grads = model.loss_and_grads(X[rows[i * batch_size : (i + 1) * batch_size]])
            optimizer.step(model.params, grads)
            losses.append(J)
    return losses
""",
    },
    "inverted_lists": {
        "the lists are of rows": "def inverted_lists(Z):\n    return [(np.nonzero(z)[0], z[z != 0]) for z in Z]",
    },
    "cosine_search": {
        "similarities, sorted as if they were distances": """
def cosine_search(q, lists, norms, k):
    dots = np.zeros(len(norms))
    for qj, (rows, values) in zip(q, lists):
        dots[rows] += qj * values
    cosine = dots / np.maximum(norms * np.linalg.norm(q), 1e-12)
    best = np.argsort(cosine, kind="stable")[:k]
    return best, cosine[best]
""",
        "the norm of the query is forgotten": """
def cosine_search(q, lists, norms, k):
    dots = np.zeros(len(norms))
    for qj, (rows, values) in zip(q, lists):
        dots[rows] += qj * values
    d = 1 - dots / np.maximum(norms, 1e-12)
    best = np.argsort(d, kind="stable")[:k]
    return best, d[best]
""",
    },
}
