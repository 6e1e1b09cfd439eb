"""Objectives and curricula against references derived by hand in numpy, on a softmax-linear model in float64.

With logits z = x W' + b, a loss with derivative d (B, K) with respect to z has gradients d'x and sum(d): each
test writes down d.
"""

import math

import numpy as np
import pytest
import torch
from scipy import optimize
from torch.func import functional_call

from mcutils import objectives
from mcutils.curricula import CURRICULA, Weighing, superloss_weights
from mcutils.errors import BadInput
from mcutils.objectives import Batch, Step, Term, cross_entropy, kl, wrong_labels
from mcutils.unlearning.methods import METHODS

K, D, B_RETAIN, B_FORGET = 4, 3, 5, 3


class Linear:
    """A softmax-linear model with the interface of `weights.Net`."""

    def __init__(self, rng):
        self.params = {
            "weight": torch.tensor(rng.normal(size=(K, D)), requires_grad=True),
            "bias": torch.tensor(rng.normal(size=K), requires_grad=True),
        }

    def __call__(self, x):
        return x @ self.params["weight"].T + self.params["bias"]


class Problem:
    """A model, a retain and a forget batch, two tables of reference logits; and the same as arrays."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.net = Linear(rng)
        n = B_RETAIN + B_FORGET
        self.x, self.y = rng.normal(size=(n, D)), rng.integers(K, size=n)
        self.tables = {"original": 2 * rng.normal(size=(n, K)), "random": 2 * rng.normal(size=(n, K))}
        self.r, self.f = np.arange(B_RETAIN), np.arange(B_RETAIN, n)
        self.z = self.x @ self.net.params["weight"].detach().numpy().T + self.net.params["bias"].detach().numpy()

    def step(self, use="both", **more):
        tables = {k: torch.tensor(v) for k, v in self.tables.items()}
        references = {k: lambda batch, v=v: v[batch.index] for k, v in tables.items()}
        retain = self.batch(self.r) if use in ("retain", "both") else None
        forget = self.batch(self.f) if use in ("forget", "both") else None
        return Step(retain, forget, references, **more)

    def batch(self, rows):
        return Batch(torch.tensor(self.x[rows]), torch.tensor(self.y[rows]), torch.tensor(rows))

    def evaluate(self, terms, step, weighing=None):
        total = (weighing or Weighing("none", K)).total(terms, step)
        gradients = torch.autograd.grad(total, list(self.net.params.values()))
        return total.item(), [g.numpy() for g in gradients]

    def check(self, terms, step, value, derivatives, extra=(0.0, 0.0), weighing=None):
        """``derivatives``: rows -> d; ``extra``: gradients that do not pass through the logits."""
        got, gradients = self.evaluate(terms, step, weighing)
        assert got == pytest.approx(value, rel=1e-12, abs=1e-13)
        weight = sum(d.T @ self.x[rows] for rows, d in derivatives) + extra[0]
        bias = sum(d.sum(0) for _, d in derivatives) + extra[1]
        np.testing.assert_allclose(gradients[0], weight, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(gradients[1], bias, rtol=1e-10, atol=1e-12)

    def ce(self, rows, labels=None, z=None):
        """Cross-entropy per row and its derivative p - e_y."""
        z = self.z if z is None else z
        labels = self.y[rows] if labels is None else labels
        p, hot = softmax(z[rows]), np.eye(K)[labels]
        return -np.log((p * hot).sum(1)), p - hot

    def kl(self, rows, teacher, temperature):
        """KL(teacher || model) per row at a temperature, and its derivative (p - q) / T."""
        q, p = softmax(self.tables[teacher][rows] / temperature), softmax(self.z[rows] / temperature)
        return (q * np.log(q / p)).sum(1), (p - q) / temperature


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


@pytest.fixture(params=[0, 1])
def problem(request):
    return Problem(request.param)


# Building blocks


def test_cross_entropy_and_kl_of_a_hand_computed_case():
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64))
    target = torch.log(torch.tensor([[0.25, 0.25, 0.5]], dtype=torch.float64))
    assert cross_entropy(logits, torch.tensor([1])).item() == pytest.approx(math.log(4))
    expected = 0.25 * math.log(0.25 / 0.5) + 0.5 * math.log(0.5 / 0.25)
    assert kl(target, logits).item() == pytest.approx(expected)
    assert kl(logits, logits, 3.0).item() == pytest.approx(0, abs=1e-15)
    # at temperature 2 the probabilities are the normalised square roots
    q, p = np.sqrt([0.25, 0.25, 0.5]), np.sqrt([0.5, 0.25, 0.25])
    q, p = q / q.sum(), p / p.sum()
    assert kl(target, logits, 2.0).item() == pytest.approx((q * np.log(q / p)).sum())


def test_kl_survives_extreme_logits():
    target, logits = torch.tensor([[800.0, 0, -800]]), torch.tensor([[0.0, 800, -800]])
    assert kl(target, logits).item() == pytest.approx(800)


# Objectives


def test_retain_loss(problem):
    step = problem.step("retain")
    losses, d = problem.ce(problem.r)
    problem.check(objectives.retain_loss(problem.net, step), step, losses.mean(), [(problem.r, d / B_RETAIN)])


def test_gradient_ascent(problem):
    step = problem.step("forget")
    losses, d = problem.ce(problem.f)
    terms = objectives.gradient_ascent(problem.net, step)
    problem.check(terms, step, -losses.mean(), [(problem.f, -d / B_FORGET)])
    # per-example losses stay positive: the sign is in the weight, so that a curriculum sees the cross-entropy
    assert terms[0].weight == -1 and (terms[0].losses > 0).all()


@pytest.mark.parametrize(
    "options, up, down",
    [({}, 0.95, 0.05), ({"alpha": 0.7}, 0.7, 0.3), ({"form": "neggrad_plus", "alpha": 1.0}, 1.0, 0.0),
     ({"form": "grad_diff"}, 1.0, 1.0), ({"form": "grad_diff", "alpha": 0.2}, 1.0, 1.0)],
)  # fmt: skip
def test_gradient_difference(problem, options, up, down):
    step = problem.step()
    (lr, dr), (lf, df) = problem.ce(problem.r), problem.ce(problem.f)
    terms = objectives.gradient_difference(problem.net, step, **options)
    expected = [(problem.r, up * dr / B_RETAIN), (problem.f, -down * df / B_FORGET)]
    problem.check(terms, step, up * lr.mean() - down * lf.mean(), expected)


@pytest.mark.parametrize("labels", ["uniform", "wrong", "next"])
@pytest.mark.parametrize("use", ["both", "forget", "retain"])
def test_random_labels_given_the_drawn_labels(problem, labels, use):
    step = problem.step(use, generator=torch.Generator().manual_seed(5))
    drawn = wrong_labels(torch.tensor(problem.y[problem.f]), K, labels, torch.Generator().manual_seed(5)).numpy()
    (lr, dr), (lf, df) = problem.ce(problem.r), problem.ce(problem.f, drawn)
    parts = {"retain": (lr.mean(), (problem.r, dr / B_RETAIN)), "forget": (lf.mean(), (problem.f, df / B_FORGET))}
    used = [parts[name] for name in (["forget", "retain"] if use == "both" else [use])]
    terms = objectives.random_labels(problem.net, step, labels=labels)
    assert len(terms) == len(used)
    problem.check(terms, step, sum(v for v, _ in used), [d for _, d in used])


def test_random_labels_are_redrawn_at_every_call(problem):
    step = problem.step("forget", generator=torch.Generator().manual_seed(0))
    values = {objectives.random_labels(problem.net, step)[0].losses.sum().item() for _ in range(20)}
    assert len(values) > 5


@pytest.mark.parametrize("name", ["random_labels", "bad_teacher"])
def test_methods_of_one_mixed_batch_take_one_forward_pass(problem, name):
    sizes = []
    counting = lambda x: sizes.append(len(x)) or problem.net(x)  # noqa: E731
    getattr(objectives, name)(counting, problem.step())
    assert sizes == [B_FORGET + B_RETAIN]


@pytest.mark.parametrize("classes", [2, 7, 10])
def test_wrong_labels_have_the_stated_distribution(classes):
    n = 60_000
    y = torch.arange(n) % classes
    rng = torch.Generator().manual_seed(1)
    uniform, wrong = (wrong_labels(y, classes, form, rng) for form in ("uniform", "wrong"))
    assert torch.equal(wrong_labels(y, classes, "next", None), (y + 1) % classes)
    assert (wrong != y).all()
    for new, support in ((uniform, classes), (wrong, classes - 1)):
        assert new.dtype == torch.int64 and new.shape == y.shape and set(new.tolist()) == set(range(classes))
        offsets = torch.bincount((new - y) % classes, minlength=classes).numpy()[classes - support :]
        expected = n / support
        sd = math.sqrt(n * (1 / support) * (1 - 1 / support)) or 0.5
        assert np.abs(offsets - expected).max() < 5 * sd


def test_wrong_labels_follow_the_generator():
    y = torch.arange(50) % 10
    for form in ("uniform", "wrong"):
        a, b, c = (wrong_labels(y, 10, form, torch.Generator().manual_seed(s)) for s in (3, 3, 4))
        assert torch.equal(a, b) and not torch.equal(a, c)


@pytest.mark.parametrize("beta, alpha, forget_weight", [(0.1, 1.0, 1.0), (2.0, 0.5, 0.25), (0.7, 0.0, 1.0)])
@pytest.mark.parametrize("form", ["example", "batch"])
def test_npo(problem, beta, alpha, forget_weight, form):
    step = problem.step()
    (lf, df), (lr, dr) = problem.ce(problem.f), problem.ce(problem.r)
    ratio = lf - problem.ce(problem.f, z=problem.tables["original"])[0]
    if form == "batch":
        ratio = np.full(B_FORGET, ratio.mean())
    value = forget_weight * (-2 / beta * np.log(sigmoid(beta * ratio))).mean() + alpha * lr.mean()
    forget = -forget_weight * 2 * (1 - sigmoid(beta * ratio))[:, None] * df / B_FORGET
    terms = objectives.npo(problem.net, step, beta=beta, alpha=alpha, forget_weight=forget_weight, form=form)
    problem.check(terms, step, value, [(problem.f, forget), (problem.r, alpha * dr / B_RETAIN)])
    np.testing.assert_allclose(terms[0].difficulty.numpy(), lf, rtol=1e-12)
    assert not terms[0].difficulty.requires_grad


@pytest.mark.parametrize("form", ["example", "batch"])
def test_npo_tends_to_gradient_ascent(problem, form):
    step = problem.step()
    terms = objectives.npo(problem.net, step, beta=1e-7, alpha=0.0, form=form)
    _, npo = problem.evaluate(terms, step)
    _, ascent = problem.evaluate(objectives.gradient_ascent(problem.net, step), step)
    for a, b in zip(npo, ascent, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_npo_damps_what_is_forgotten_already():
    # far above the original loss the gradient vanishes: the loss is bounded below, unlike gradient ascent's
    problem = Problem()
    problem.y[problem.f] = problem.z[problem.f].argmin(1)
    problem.tables["original"][problem.f, problem.y[problem.f]] += 60
    terms = objectives.npo(problem.net, problem.step(), beta=50.0, alpha=0.0)
    assert (terms[0].losses.detach() < 1e-15).all()
    _, gradients = problem.evaluate(terms, problem.step())
    assert max(np.abs(g).max() for g in gradients) < 1e-15


@pytest.mark.parametrize("options", [{}, {"temperature": 1.5, "gamma": 0.6, "alpha": 0.3}])
@pytest.mark.parametrize("use", ["forget", "retain", "both"])
def test_scrub(problem, options, use):
    step = problem.step(use)
    t, gamma, alpha = (options.get(k, v) for k, v in (("temperature", 4.0), ("gamma", 0.99), ("alpha", 0.001)))
    value, derivatives = 0.0, []
    if use != "retain":
        away, d = problem.kl(problem.f, "original", t)
        value -= t**2 * away.mean()
        derivatives.append((problem.f, -(t**2) * d / B_FORGET))
    if use != "forget":
        (task, d_task), (stay, d_stay) = problem.ce(problem.r), problem.kl(problem.r, "original", t)
        value += gamma * task.mean() + alpha * t**2 * stay.mean()
        derivatives.append((problem.r, (gamma * d_task + alpha * t**2 * d_stay) / B_RETAIN))
    terms = objectives.scrub(problem.net, step, **options)
    problem.check(terms, step, value, derivatives)
    if use != "retain":
        np.testing.assert_allclose(terms[0].difficulty.numpy(), problem.ce(problem.f)[0], rtol=1e-12)
    if use != "forget":
        np.testing.assert_allclose(terms[-1].difficulty.numpy(), problem.ce(problem.r)[0], rtol=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("reduction, divisor", [("batchmean", 1), ("elementwise", K)])
def test_bad_teacher(problem, temperature, reduction, divisor):
    step = problem.step()
    (lf, df), (lr, dr) = problem.kl(problem.f, "random", temperature), problem.kl(problem.r, "original", temperature)
    n = (B_FORGET + B_RETAIN) * divisor  # every example counts once, as in one mixed batch
    terms = objectives.bad_teacher(problem.net, step, temperature=temperature, reduction=reduction)
    problem.check(terms, step, (lf.sum() + lr.sum()) / n, [(problem.f, df / n), (problem.r, dr / n)])
    for term, rows in zip(terms, (problem.f, problem.r), strict=True):
        np.testing.assert_allclose(term.difficulty.numpy(), problem.ce(rows)[0], rtol=1e-12)
        assert not term.difficulty.requires_grad


@pytest.mark.parametrize(
    "progress, no_l1, share",
    [(0.0, 0.0, 1.0), (0.25, 0.0, 0.75), (0.9, 0.0, 0.1), (0.4, 0.2, 0.5), (0.8, 0.2, 0.0), (0.95, 0.2, 0.0)],
)
def test_l1_sparse(problem, progress, no_l1, share):
    step, gamma = problem.step("retain", progress=progress), 0.03
    losses, d = problem.ce(problem.r)
    weight, bias = (p.detach().numpy() for p in problem.net.params.values())
    terms = objectives.l1_sparse(problem.net, step, gamma=gamma, no_l1=no_l1)
    value = losses.mean() + gamma * share * (np.abs(weight).sum() + np.abs(bias).sum())
    extra = gamma * share * np.sign(weight), gamma * share * np.sign(bias)
    problem.check(terms, step, value, [(problem.r, d / B_RETAIN)], extra)
    assert terms[1].losses.ndim == 0


class Functional:
    """A module called at given parameters, as `weights.Net` calls it, in float64."""

    def __init__(self, module, params):
        self.module, self.params = module, params

    def __call__(self, x):
        return functional_call(self.module, self.params, (x,))

    def at(self, params):
        return Functional(self.module, params)


@pytest.mark.parametrize("name", METHODS)
def test_gradients_of_a_convnet_equal_finite_differences(name, tiny_net):
    rng = torch.Generator().manual_seed(1)
    normal = lambda *shape: torch.randn(*shape, generator=rng, dtype=torch.float64)  # noqa: E731
    retain, forget = (
        Batch(normal(n, 1, 8, 8), torch.randint(10, (n,), generator=rng), torch.arange(n)) for n in (6, 4)
    )
    tables = {k: normal(6, 10) for k in ("original", "random")}
    references = {k: lambda batch, v=v: v[batch.index] for k, v in tables.items()}
    # away from the initial zeros of biases, where |theta| has a kink
    start = {k: p.detach() + 0.1 * normal(*p.shape) for k, p in tiny_net.named_parameters()}
    direction = {k: normal(*p.shape) for k, p in start.items()}
    anchor = {k: p.detach() for k, p in tiny_net.named_parameters()}
    method = METHODS[name]
    options = {k: v for k, v in method.options.items() if k in (method.objective.__kwdefaults__ or {})}

    def loss(params):
        step = Step(retain, forget, references, torch.Generator().manual_seed(0), 0.25, anchor)
        return Weighing("none", 10).total(method.objective(Functional(tiny_net, params), step, **options), step)

    leaves = {k: p.clone().requires_grad_() for k, p in start.items()}
    gradients = torch.autograd.grad(loss(leaves), list(leaves.values()))
    slope = sum((g * d).sum() for g, d in zip(gradients, direction.values(), strict=True)).item()
    h = 1e-6
    with torch.no_grad():
        ahead, behind = (loss({k: p + s * h * direction[k] for k, p in start.items()}).item() for s in (1, -1))
    assert slope == pytest.approx((ahead - behind) / (2 * h), rel=2e-6)


@pytest.mark.parametrize(
    "call, allowed",
    [
        (lambda n, s: objectives.gradient_difference(n, s, form="x"), "neggrad_plus, grad_diff"),
        (lambda n, s: objectives.random_labels(n, s, labels="x"), "uniform, wrong, next"),
        (lambda n, s: objectives.npo(n, s, form="x"), "example, batch"),
        (lambda n, s: objectives.npo(n, s, beta=0.0), "above 0"),
        (lambda n, s: objectives.bad_teacher(n, s, reduction="x"), "batchmean, elementwise"),
        (lambda n, s: objectives.l1_sparse(n, s, no_l1=1.0), r"\[0, 1\)"),
        (lambda n, s: objectives.l1_sparse(n, s, no_l1=-0.1), r"\[0, 1\)"),
    ],
)
def test_bad_options_name_what_is_allowed(call, allowed):
    problem = Problem()
    with pytest.raises(BadInput, match=allowed):
        call(problem.net, problem.step())


# SuperLoss


def superloss(losses, tau, lam):
    s = superloss_weights(losses, tau, lam)
    return (losses - tau) * s + lam * s.log() ** 2


GRID = [(loss, tau, lam) for loss in (0.0, 0.3, 1.2, 2.3, 5.0, 40.0) for tau in (0.5, 2.3) for lam in (0.25, 1.0, 10.0)]


@pytest.mark.parametrize("loss, tau, lam", GRID)
def test_superloss_is_the_numerical_minimum_of_its_definition(loss, tau, lam):
    """And its weights are stationary, or at the bound."""

    def definition(u):  # s = exp(u) in (0, e]
        return (loss - tau) * math.exp(u) + lam * u**2

    inner = optimize.minimize_scalar(definition, bounds=(-50, 1), method="bounded", options={"xatol": 1e-13})
    lowest, u = min((inner.fun, inner.x), (definition(1), 1.0))
    assert lowest <= min(definition(v) for v in np.linspace(-50, 1, 2001))  # no local minimum
    losses = torch.tensor([loss], dtype=torch.float64)
    s = superloss_weights(losses, tau, lam).item()
    assert superloss(losses, tau, lam).item() == pytest.approx(lowest, abs=1e-10, rel=1e-10)
    assert math.log(s) == pytest.approx(u, abs=1e-6)
    slope = loss - tau + 2 * lam * math.log(s) / s
    if (loss - tau) / lam > -2 / math.e:
        assert abs(slope) < 1e-9 * max(1, abs(loss - tau))
    else:
        assert s == math.e and slope <= 1e-12


@pytest.mark.parametrize("lam", [0.25, 1.0, 10.0])
def test_the_derivative_of_superloss_is_its_confidence(lam):
    losses = torch.tensor([0.0, 0.5, 2.0, 2.5, 9.0], dtype=torch.float64, requires_grad=True)
    weights = superloss_weights(losses, 2.3, lam)
    assert not weights.requires_grad
    (slope,) = torch.autograd.grad(superloss(losses, 2.3, lam).sum(), losses)
    torch.testing.assert_close(slope, weights)
    h = 1e-6
    ahead, behind = (superloss(losses.detach() + d, 2.3, lam) for d in (h, -h))
    torch.testing.assert_close(slope, (ahead - behind) / (2 * h), rtol=1e-6, atol=1e-6)


def test_superloss_weights_know_their_limits():
    tau, lam = 1.7, 0.8
    s = superloss_weights(torch.tensor([tau], dtype=torch.float64), tau, lam)
    assert s.item() == 1
    edge = tau - 2 * lam / math.e
    around = torch.tensor([edge - 100, edge - 1e-9, edge, edge + 1e-12], dtype=torch.float64)
    np.testing.assert_allclose(superloss_weights(around, tau, lam), math.e, rtol=1e-5)
    hard = superloss_weights(torch.tensor([1e3, 1e6, 1e12, math.inf], dtype=torch.float64), tau, lam)
    assert (hard[:-1] > 0).all() and hard[-1] == 0 and (hard.diff() < 0).all() and hard[2] < 1e-10
    grid = superloss_weights(torch.linspace(-5, 20, 2001, dtype=torch.float64), tau, lam)
    assert (grid.diff() <= 0).all() and torch.isfinite(grid).all() and grid.max() == math.e


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_superloss_weights_of_easy_examples_are_e(dtype):
    # every example that a trained network knows lies here
    s = superloss_weights(torch.zeros(5, dtype=dtype), math.log(10), 1.0)
    assert s.dtype == dtype and torch.equal(s, torch.full((5,), math.e, dtype=dtype))


@pytest.mark.parametrize("curriculum", ["superloss", "superloss_authors"])
@pytest.mark.parametrize("lam", [0.0, -1.0])
def test_superloss_needs_a_positive_lambda(curriculum, lam):
    weighing = Weighing(curriculum, K, {"lam": lam})
    with pytest.raises(BadInput, match="above 0"):
        weighing.total((Term(1.0, torch.ones(3)),), Step(None, None))


def confidence(loss, tau, lam):
    """exp(-W), W e^W = max(-2/e, (l - tau)/lam)/2, the equation solved by bisection."""
    x = max(-2 / math.e, (loss - tau) / lam) / 2
    if x <= -1 / math.e:
        return math.e
    return math.exp(-optimize.brentq(lambda w: w * math.exp(w) - x, -1, max(1.0, x), xtol=1e-15, rtol=1e-14))


def test_superloss_as_published_uses_log_k_and_one():
    losses = torch.tensor([0.01, 1.0, math.log(K), 3.0, 9.0], dtype=torch.float64)
    for options, lam in (({}, 1.0), ({"lam": 0.25}, 0.25)):
        expected = [confidence(v, math.log(K), lam) for v in losses.tolist()]
        got = CURRICULA["superloss"](losses, {"classes": K}, **options)
        np.testing.assert_allclose(got, expected, rtol=1e-7)
    assert torch.equal(CURRICULA["none"](losses, {}), torch.ones(5, dtype=torch.float64))


def authors_stream(batches, lam=10.0):
    """The authors' running average, written out: the sum of losses over the sum of confidences."""
    loss_sum = confidence_sum = 0.0
    for batch in batches:
        tau = loss_sum / confidence_sum if confidence_sum else sum(batch) / len(batch)
        weights = [confidence(v, tau, lam) for v in batch]
        loss_sum, confidence_sum = loss_sum + sum(batch), confidence_sum + sum(weights)
        yield weights


@pytest.mark.parametrize("options, lam", [({}, 10.0), ({"lam": 1.0}, 1.0)])
def test_superloss_of_the_authors_step_by_step(options, lam):
    rng = np.random.default_rng(0)
    sizes = ((2, 5), (0.1, 3), (6, 4), (1, 1), (0.5, 6))
    batches = [rng.exponential(scale, size=size).tolist() for scale, size in sizes]
    state = {"classes": K}
    for batch, expected in zip(batches, authors_stream(batches, lam), strict=True):
        got = CURRICULA["superloss_authors"](torch.tensor(batch, dtype=torch.float64), state, **options)
        np.testing.assert_allclose(got, expected, rtol=1e-7)


def test_the_authors_average_is_not_a_mean():
    # one batch of hard examples: confidences below 1 push the next tau above the mean of the losses
    batch = [0.0, 0.0, 30.0]
    state = {"classes": K}
    CURRICULA["superloss_authors"](torch.tensor(batch, dtype=torch.float64), state)
    tau = state["loss_sum"] / state["confidence_sum"]
    assert tau != pytest.approx(10.0, rel=1e-3)
    assert tau == pytest.approx(30 / sum(confidence(v, 10.0, 10.0) for v in batch), rel=1e-7)


# Weighing terms


@pytest.mark.parametrize("curriculum", ["superloss", "superloss_authors"])
def test_weights_are_constants_of_the_gradient(problem, curriculum):
    step = problem.step()
    (lr, dr), (lf, df) = problem.ce(problem.r), problem.ce(problem.f)
    if curriculum == "superloss":
        vr, vf = ([confidence(v, math.log(K), 1.0) for v in losses] for losses in (lr, lf))
    else:
        vr, vf = (next(authors_stream([losses.tolist()])) for losses in (lr, lf))
    vr, vf = np.array(vr), np.array(vf)
    terms = objectives.gradient_difference(problem.net, step, form="grad_diff")
    expected = [(problem.r, vr[:, None] * dr / B_RETAIN), (problem.f, -vf[:, None] * df / B_FORGET)]
    problem.check(terms, step, (vr * lr).mean() - (vf * lf).mean(), expected, weighing=Weighing(curriculum, K))


def test_each_term_keeps_its_own_average():
    rng = np.random.default_rng(3)
    streams = [[rng.exponential(scale, 4).tolist() for _ in range(4)] for scale in (0.3, 5.0)]
    weighing, step = Weighing("superloss_authors", K), Problem().step()
    expected = [list(authors_stream(stream)) for stream in streams]
    for k in range(4):
        losses = [torch.tensor(stream[k], dtype=torch.float64) for stream in streams]
        terms = tuple(map(Term, (2.0, -0.5), losses))
        parts = [np.mean(np.multiply(e[k], s[k])) for e, s in zip(expected, streams, strict=True)]
        assert weighing.total(terms, step).item() == pytest.approx(2 * parts[0] - 0.5 * parts[1], rel=1e-7)


def test_the_phases_of_a_method_keep_their_own_averages():
    # SCRUB's forget and retain steps each have a first term: they must not share one average
    rng = np.random.default_rng(4)
    scales = {"forget": 6.0, "retain": 0.2}
    streams = {use: [rng.exponential(scale, 4).tolist() for _ in range(3)] for use, scale in scales.items()}
    expected = {use: list(authors_stream(stream)) for use, stream in streams.items()}
    weighing, problem = Weighing("superloss_authors", K), Problem()
    for use, k in (("forget", 0), ("retain", 0), ("retain", 1), ("forget", 1), ("retain", 2)):
        total = weighing.total((Term(1.0, torch.tensor(streams[use][k], dtype=torch.float64)),), problem.step(use))
        assert total.item() == pytest.approx(np.mean(np.multiply(expected[use][k], streams[use][k])), rel=1e-7)


@pytest.mark.parametrize("curriculum", ["superloss", "superloss_authors"])
def test_a_penalty_is_not_weighted(problem, curriculum):
    step, gamma = problem.step("retain"), 0.5
    weighted = Weighing(curriculum, K).total(objectives.retain_loss(problem.net, step), step).item()
    norm = sum(p.abs().sum().item() for p in problem.net.params.values())
    terms = objectives.l1_sparse(problem.net, step, gamma=gamma)
    assert Weighing(curriculum, K).total(terms, step).item() == pytest.approx(weighted + gamma * norm, rel=1e-12)


@pytest.mark.parametrize("name", ["npo", "scrub", "bad_teacher"])
def test_the_curriculum_looks_at_the_difficulty(problem, name):
    step = problem.step()
    terms = getattr(objectives, name)(problem.net, step)
    expected = 0.0
    for term in terms:
        seen = (term.losses if term.difficulty is None else term.difficulty).tolist()
        weights = np.array([confidence(v, math.log(K), 1.0) for v in seen])
        expected += term.weight * (weights * term.losses.detach().numpy()).mean()
    assert Weighing("superloss", K).total(terms, step).item() == pytest.approx(expected, rel=1e-7)
    # and the losses themselves would have given another number
    blind = tuple(Term(t.weight, t.losses) for t in terms)
    assert Weighing("superloss", K).total(blind, step).item() != pytest.approx(expected, rel=1e-4)


def test_unknown_curricula_and_options_name_what_is_allowed():
    with pytest.raises(BadInput, match="none, superloss, superloss_authors"):
        Weighing("superlos", K)
    with pytest.raises(BadInput, match="unknown option 'tau' of the curriculum superloss: its options are lam"):
        Weighing("superloss", K, {"tau": 1.0})
    with pytest.raises(BadInput, match="unknown option 'lam' of the curriculum none: its options are none"):
        Weighing("none", K, {"lam": 1.0})
