"""Invariants over odd modules: ends of a line, training as a plain loop does it, fresh weights, early sentences."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import Tied
from torch import nn
from torch.nn.utils import parametrizations, weight_norm

import mcutils as mc
from mcutils.descent import batches, generator
from mcutils.models.vision import rebuild
from mcutils.networks import anew
from mcutils.settings import MethodSettings, Plan
from mcutils.traces import SPLITS, refresh_rows
from mcutils.unlearning.endpoints import random_twin
from mcutils.weights import load, module_of, refresh_batchnorm, save

PLAN = Plan(lr=1e-2, steps=4, batch_size=32, forget_batch_size=8, weight_decay=0.1)


def head(*layers, wide=64):
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(wide, 10))


def conv(norm, layer=lambda m: m):
    body = [layer(nn.Conv2d(1, 6, 3, padding=1, bias=False)), norm, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    return nn.Sequential(*body, nn.Linear(24, 10))


class Own(nn.Module):
    """A body with something of the user's own before it."""

    def __init__(self):
        super().__init__()
        self.body = head(nn.Linear(64, 16), nn.Tanh(), wide=16)

    def forward(self, x):
        return self.body(x)


class Average(Own):
    """A moving average of the inputs, put in place of the old one, that the forward pass subtracts."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.mean()
        return self.body(x - self.mean)


class Counter(Own):
    """Counts its training passes; the logits do not depend on it."""

    def __init__(self):
        super().__init__()
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        if self.training:
            self.passes += 1
        return self.body(x)


class ViT(nn.Module):
    """Patches, a class token and a positional embedding: two parameters that no layer resets."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(1, 16, 4, 4)
        self.token, self.position = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 5, 16))
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True)
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        patches = self.patch(x).flatten(2).transpose(1, 2)
        z = torch.cat([self.token.expand(len(x), -1, -1), patches], 1) + self.position
        return self.head(self.layer(z)[:, 0])


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.rnn, self.head = kind(8, 12, batch_first=True), nn.Linear(12, 10)

    def forward(self, x):
        return self.head(self.rnn(x[:, 0])[0][:, -1])


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.norm, self.head = nn.Embedding(17, 8), nn.LayerNorm(8), nn.Linear(8, 10)

    def forward(self, x):
        tokens = ((x.flatten(1) - x.min()) * 3).long().clamp(0, 16)
        return self.head(self.norm(self.embed(tokens)).mean(1))


class Sinusoid(Own):
    """A fixed table as a buffer, as sinusoidal positions are."""

    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.linspace(0, 1, 64).sin().view(1, 1, 8, 8))

    def forward(self, x):
        return self.body(x + self.table)


def frozen_backbone():
    net = conv(nn.BatchNorm2d(6))
    net[0].requires_grad_(False)
    return net


ODD = {
    "plain": lambda: head(nn.Linear(64, 16), nn.ReLU(), wide=16),
    "linear": head,
    "dropout": lambda: head(nn.Linear(64, 16), nn.Dropout(0.5), wide=16),
    "dropout2d": lambda: conv(nn.Dropout2d(0.3)),
    "tied": Tied,
    "batchnorm2d": lambda: conv(nn.BatchNorm2d(6)),
    "batchnorm1d": lambda: head(nn.Linear(64, 16), nn.BatchNorm1d(16), wide=16),
    "batchnorm without momentum": lambda: conv(nn.BatchNorm2d(6, momentum=None)),
    "batchnorm without statistics": lambda: conv(nn.BatchNorm2d(6, track_running_stats=False)),
    "instancenorm": lambda: conv(nn.InstanceNorm2d(6)),
    "instancenorm with statistics": lambda: conv(nn.InstanceNorm2d(6, affine=True, track_running_stats=True)),
    "groupnorm": lambda: conv(nn.GroupNorm(2, 6)),
    "layernorm": lambda: head(nn.LayerNorm(64)),
    "prelu": lambda: head(nn.Linear(64, 16), nn.PReLU(16), wide=16),
    "spectral_norm": lambda: conv(nn.Identity(), parametrizations.spectral_norm),
    "orthogonal": lambda: head(parametrizations.orthogonal(nn.Linear(64, 16)), wide=16),
    "weight_norm": lambda: conv(nn.Identity(), parametrizations.weight_norm),
    "gru": lambda: Recurrent(nn.GRU),
    "lstm": lambda: Recurrent(nn.LSTM),
    "vit": ViT,
    "tokens": Tokens,
    "moving average": Average,
    "counter": Counter,
    "fixed table": Sinusoid,
    "frozen backbone": frozen_backbone,
}
# What no layer resets, so that a module alone cannot be drawn anew.
NEEDS_FACTORY = {"spectral_norm", "orthogonal", "weight_norm", "vit", "moving average", "counter"}
# What differs between two trained ends, changes the logits, and can be neither mixed nor estimated anew.
NO_INSIDE = {"spectral_norm", "moving average"}


def made(name, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ODD[name]()


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def settings(**changes):
    return MethodSettings(replace(PLAN, **changes))


@pytest.fixture(scope="module", params=ODD)
def trained(request, tiny):
    """Name, module and two ends: trained weights and those fine-tuned from them."""
    module = made(request.param)
    start = mc.train(tiny, module, seed=1, plan=PLAN)
    return request.param, module, start, mc.unlearn(start, tiny, "finetune", seed=2, settings=settings(steps=3)).weights


def by_hand(module, task, seed, plan, rows):
    """The same batches and optimiser in plain torch; BatchNorm alone is estimated anew at the end."""
    module = copy.deepcopy(module).train()
    free = [p for p in module.parameters() if p.requires_grad]
    groups = [{"params": g} for g in ([p for p in free if p.ndim > 1], [p for p in free if p.ndim <= 1]) if g]
    optimizer = torch.optim.AdamW(groups, lr=plan.lr, weight_decay=plan.weight_decay)
    torch.manual_seed(seed)
    stream = batches(task, task.index[rows], plan.batch_size, generator(seed, "retain"))
    for _, batch in zip(range(plan.steps), stream, strict=False):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(batch.x), batch.y).backward()
        optimizer.step()
    layers = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    module.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    with torch.no_grad():
        for x in task.inputs("bn").split(128) if layers else ():
            module(x)
    return module.eval()


def test_training_is_a_plain_loop(trained, tiny):
    _, module, ours, _ = trained
    theirs = by_hand(module, tiny, 1, PLAN, "train")
    for name, value in {**dict(theirs.named_parameters()), **dict(theirs.named_buffers())}.items():
        got = {**ours.params, **ours.buffers}[name]
        if name.endswith("in_proj_bias"):
            # Softmax does not see the bias of the keys: its gradient is rounding alone, which AdamW makes a step of.
            got, value = (torch.cat([b.chunk(3)[0], b.chunk(3)[2]]) for b in (got, value))
        torch.testing.assert_close(got, value.detach(), rtol=2e-4, atol=2e-4, msg=lambda text, n=name: f"{n}: {text}")
    with torch.no_grad():
        expected = theirs(tiny.inputs("test"))
    torch.testing.assert_close(module_of(ours)(tiny.inputs("test")).detach(), expected, rtol=1e-3, atol=1e-3)


def test_what_is_given_is_left_as_it_is(trained, tiny):
    name, module, _, _ = trained
    assert same(module.state_dict(), made(name).state_dict())


@pytest.mark.parametrize("policy", ["retain", "full"])
def test_the_ends_of_a_line_are_the_traced_endpoints(trained, tiny, policy):
    found = mc.trace(mc.line(trained[2], trained[3]), tiny, [0, 1], batchnorm=policy, dtype="float32")
    for k, end in enumerate(trained[2:]):
        alone = mc.trace(end, tiny, batchnorm=policy, dtype="float32")
        for split in SPLITS:
            assert np.array_equal(found.logits[split][k], alone.logits[split][0]), split


def test_an_endpoint_is_traced_as_its_module_evaluates(trained, tiny):
    end = trained[3]
    if trained[0] == "batchnorm without statistics":
        return  # what it makes of an example depends on the batch
    found = mc.trace(end, tiny, dtype="float32").logits["test"][0]
    with torch.no_grad():
        expected = module_of(end)(tiny.inputs("test")).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_inside_a_line_what_cannot_be_estimated_is_refused(trained, tiny):
    name, _, start, end = trained
    if name in NO_INSIDE:
        for call in (
            lambda: mc.trace(mc.line(start, end), tiny, 3),
            lambda: mc.fit_curve(start, end, tiny, seed=0, settings=settings(), plan=PLAN),
        ):
            with pytest.raises(mc.BadInput, match="differs between the ends of a curve and changes the logits"):
                call()
        return
    found = mc.trace(mc.fit_curve(start, end, tiny, seed=0, settings=settings(), plan=PLAN), tiny, [0, 0.5, 1])
    assert all(np.isfinite(found.logits[split]).all() for split in SPLITS)


def test_retraining_starts_from_fresh_weights(trained, tiny):
    name, _, start, _ = trained
    still = replace(PLAN, steps=0)
    if name in NEEDS_FACTORY:
        for call in (
            lambda: mc.retrain(tiny, module_of(start).requires_grad_(True), seed=3, plan=still),
            lambda: mc.unlearn(start, tiny, "retrain", seed=3, settings=settings(steps=0)),
            lambda: mc.unlearn(start, tiny, "bad_teacher", seed=3, settings=settings(steps=1)),
        ):
            with pytest.raises(mc.BadInput, match="cannot be drawn anew.*factory"):
                call()
        one = [mc.retrain(tiny, ODD[name], seed=s, plan=still) for s in (3, 3, 4)]
        through = mc.train(tiny, ODD[name], seed=0, plan=still)
    else:
        module = module_of(start)
        for key, p in module.named_parameters():
            p.requires_grad_(key not in start.frozen)
        one = [mc.retrain(tiny, module, seed=s, plan=still) for s in (3, 3, 4)]
        through = start
    fresh = mc.unlearn(through, tiny, "retrain", seed=3, settings=settings(steps=0)).weights
    assert same(one[0].params, one[1].params) and same(one[0].params, fresh.params)
    for key, value in one[0].params.items():
        if value.ndim > 1 and key not in start.frozen and name != "orthogonal":
            assert not torch.equal(value, start.params[key]), f"{key} starts trained"
            assert not torch.equal(value, one[2].params[key]), f"{key} ignores the seed"
        if key in start.frozen:
            assert torch.equal(value, start.params[key])
    if name == "orthogonal":  # its parameter begins at the identity, what is drawn is a buffer
        assert not any(torch.equal(module_of(one[0])[1].weight, module_of(w)[1].weight) for w in (start, one[2]))


def test_a_module_is_drawn_as_its_class_draws_it(tiny):
    """Inner layers first, as they were made: the bits of a new network under the seed."""
    for name in ("plain", "tied", "batchnorm2d", "tokens", "fixed table"):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            expected = ODD[name]()
        if name != "tied":
            assert same(rebuild(made(name), 7).state_dict(), expected.state_dict()), name


# Factories


def test_a_factory_is_called_under_the_seed(tiny):
    state = torch.get_rng_state()
    one, again, other, init = (
        mc.train(tiny, ViT, seed=s, init=i, plan=replace(PLAN, steps=0))
        for s, i in ((1, None), (1, None), (2, None), (1, 2))
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert same(one.params, again.params) and not same(one.params, other.params) and same(init.params, other.params)
    assert same(one.params, dict(mc.weights_of(made("vit", 1)).params)) and one.model == "ViT"


def test_a_factory_that_returns_trained_weights_does_not_retrain(tiny):
    net = made("plain")
    for factory in (lambda: net, lambda: copy.deepcopy(net)):
        with pytest.raises(mc.BadInput, match="gives the same weights whatever the seed"):
            mc.retrain(tiny, factory, seed=1, plan=PLAN)


def test_a_module_is_drawn_anew_where_init_is_given(tiny):
    net, still = made("plain"), replace(PLAN, steps=0)
    stands, one, other = (mc.train(tiny, net, seed=1, init=i, plan=still).params for i in (None, 5, 6))
    assert same(stands, dict(mc.weights_of(net).params)) and not same(one, stands) and not same(one, other)


def test_the_bad_teacher_of_a_factory_is_untrained(tiny):
    start = mc.train(tiny, ViT, seed=1, plan=PLAN)
    twin = random_twin(start, tiny, 9)
    assert same(twin.params, dict(mc.weights_of(made("vit", 9)).params))


# Frozen parameters


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "sophia_g", "soul"])
@pytest.mark.parametrize("method", ["finetune", "salun", "l1_sparse", "bad_teacher"])
def test_frozen_parameters_stay_bit_by_bit(tiny, method, optimizer):
    start = mc.train(tiny, frozen_backbone(), seed=0, plan=PLAN)
    assert start.frozen == {"0.weight"}
    ends = [
        mc.unlearn(start, tiny, method, seed=s, optimizer=optimizer, settings=settings(optimizer=optimizer))
        for s in (1, 2)
    ]
    curve = mc.fit_curve(*ends, tiny, seed=0, plan=replace(PLAN, optimizer=optimizer))
    for point in (*curve.points, *(curve.at(t) for t in (0.1, 1 / 3, 0.77))):
        assert all(torch.equal(point.params[name], start.params[name]) for name in start.frozen)
        assert not torch.equal(point.params["5.weight"], start.params["5.weight"])


def test_weights_remember_what_is_frozen(tiny, tmp_path):
    start = mc.weights_of(frozen_backbone())
    save(tmp_path / "w.safetensors", [start])
    (again,) = load(tmp_path / "w.safetensors", net=frozen_backbone())
    assert again.frozen == start.frozen == start.to(torch.float64).frozen
    with pytest.raises(mc.BadInput, match="all parameters of a Sequential are frozen"):
        mc.train(tiny, made("plain").requires_grad_(False), seed=0, plan=PLAN)


# Running statistics


def test_instancenorm_is_estimated_anew_inside_a_curve_only(tiny):
    a, b = (mc.train(tiny, made("instancenorm with statistics", s), seed=s, plan=PLAN) for s in (0, 1))
    inside = mc.trace(mc.line(a, b), tiny, [0.5], dtype="float32").logits["test"][0]
    module = module_of(mc.line(a, b).at(0.5))
    layer = module[1]
    layer.reset_running_stats()
    means, variances = [], []
    with torch.no_grad():
        for x in tiny.x[refresh_rows(tiny, "retain")].split(128):
            z = module[0](x).flatten(2)
            means.append(z.mean(2).mean(0))
            variances.append(z.var(2).mean(0))
        layer.running_mean.copy_(torch.stack(means).mean(0))
        layer.running_var.copy_(torch.stack(variances).mean(0))
        np.testing.assert_allclose(inside, module(tiny.inputs("test")).numpy(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("rows", [1, 2, 129, 130])
def test_a_last_batch_of_one_joins_the_one_before(tiny, rows):
    weights, x = mc.weights_of(made("batchnorm1d").double()), tiny.x[:rows].double()
    if rows == 1:
        with pytest.raises(mc.BadInput, match="cannot be estimated on these examples"):
            refresh_batchnorm(weights, x)
        return
    found = refresh_batchnorm(weights, x).buffers["2.running_mean"]
    z = module_of(weights)[1](x.flatten(1)).detach()
    parts = [z] if rows < 130 else list(z.split(128))
    torch.testing.assert_close(found, torch.stack([part.mean(0) for part in parts]).mean(0))


def test_no_examples_to_estimate_on_is_said(tiny):
    with pytest.raises(mc.BadInput, match="no examples to estimate running statistics on"):
        refresh_batchnorm(mc.weights_of(made("batchnorm2d")), tiny.x[:0])


def bn_update(module, batches):
    """dnn-mode-connectivity's own: momentum b / (n + b), NCHW."""
    layers = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for layer in layers:
        layer.running_mean.zero_(), layer.running_var.fill_(1)
    module.train()
    n = 0
    with torch.no_grad():
        for x in batches:
            for layer in layers:
                layer.momentum = len(x) / (n + len(x))
            module(x)
            n += len(x)
    return module.eval()


def test_weighted_statistics_are_those_of_dnn_mode_connectivity(theta, tiny):
    few = replace(tiny, index={**tiny.index, "bn": tiny.index["bn"][: 64 + 2]})
    found = mc.trace(theta, few, batch_size=64, dtype="float32", weighted=True)
    module = bn_update(module_of(theta.to(torch.float64)), few.inputs("bn").double().split(64))
    unweighted = mc.trace(theta, few, batch_size=64, dtype="float32")
    worst = {}
    for split, rows in few.evaluation.items():
        with torch.no_grad():
            expected = nn.functional.cross_entropy(module(few.x[rows].double()), few.y[rows]).item()
        for name, one in (("weighted", found), ("mean", unweighted)):
            ours = nn.functional.cross_entropy(torch.tensor(one.logits[split][0]).double(), few.y[rows]).item()
            worst[name] = max(worst.get(name, 0), abs(ours - expected))
    assert worst["weighted"] < 3e-7 < 1e-3 < worst["mean"]
    assert found.meta["weighted"] == "yes" and "weighted" not in unweighted.meta


# Early sentences


class Returning(nn.Module):
    """A linear network whose output a function changes."""

    def __init__(self, change, classes=10):
        super().__init__()
        self.body, self.change = nn.Sequential(nn.Flatten(), nn.Linear(64, classes)), change

    def forward(self, x):
        return self.change(self, self.body(x))


class InPlace(Own):
    def forward(self, x):
        return self.body(x.mul_(2))


class TwoInputs(Own):
    def forward(self, x, mask):
        return self.body(x * mask)


class NoParameters(nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :10]


def lazy():
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(10))


def meta():
    with torch.device("meta"):
        return head()


REFUSED = {
    "12 outputs": (lambda: Returning(lambda m, z: z, 12), r"outputs of shape \(12,\), but the task has 10 classes"),
    "5 outputs": (lambda: Returning(lambda m, z: z, 5), r"outputs of shape \(5,\), but the task has 10 classes"),
    "tuple": (lambda: Returning(lambda m, z: (z, z)), "returns a tuple"),
    "dictionary": (lambda: Returning(lambda m, z: {"logits": z}), "returns a dict"),
    "spatial": (lambda: Returning(lambda m, z: z[..., None, None]), r"outputs of shape \(10, 1, 1\)"),
    "one number": (lambda: Returning(lambda m, z: z.sum()), r"outputs of shape \(\)"),
    "integers": (lambda: Returning(lambda m, z: z.long()), "outputs of torch.int64"),
    "tuple in training": (lambda: Returning(lambda m, z: (z, z) if m.training else z), "returns a tuple"),
    "fails in training": (lambda: Returning(lambda m, z: z @ z if m.training else z), "be trained on 2 examples"),
    "in place": (InPlace, "changes its examples in place"),
    "two inputs": (TwoInputs, "cannot be called on examples of shape"),
    "no parameters": (NoParameters, "has no parameters"),
    "frozen": (lambda: head().requires_grad_(False), "all parameters of a Sequential are frozen"),
    "lazy": (lazy, "lazy and has no shape yet"),
    "meta": (meta, "meta device"),
    "scripted": (lambda: torch.jit.script(head()), "scripted module"),
    "old weight_norm": (lambda: head(weight_norm(nn.Linear(64, 64))), "old torch.nn.utils.weight_norm"),
    "half": (lambda: head().half(), "float16|cannot be called"),
    "bfloat16": (lambda: head().bfloat16(), "bfloat16|cannot be called"),
    "complex": (lambda: head().to(torch.complex64), "complex64: parameters must be real"),
    "three channels": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), "be called on examples of shape"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_trained_is_refused_early(tiny, name):
    make, message = REFUSED[name]
    with pytest.raises(mc.BadInput, match=message) as caught:
        mc.train(tiny, make(), seed=0, plan=PLAN)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
    with pytest.raises(mc.BadInput):
        mc.retrain(tiny, make(), seed=0, plan=PLAN)


@pytest.mark.parametrize("label", [-1, -100, 10, 255])
def test_labels_outside_the_classes_are_refused(tiny, theta, label):
    y = tiny.y.clone()
    y[tiny.index["retain"][0]] = label
    wrong = replace(tiny, y=y)
    for call in (
        lambda: mc.train(wrong, made("plain"), seed=0, plan=PLAN),
        lambda: mc.unlearn(theta, wrong, "finetune", seed=0),
        lambda: mc.trace(theta, wrong),
        lambda: mc.fit_curve(theta, theta, wrong, seed=0),
    ):
        with pytest.raises(mc.BadInput, match=f"lie from 0 to 9, got {label}"):
            call()


def test_batches_too_small_for_batchnorm_are_said(tiny):
    with pytest.raises(mc.BadInput, match="cannot be trained on 1 examples|too small"):
        mc.train(tiny, made("batchnorm1d"), seed=0, plan=replace(PLAN, batch_size=1))


@pytest.mark.parametrize("optimizer", ["adamw", "sophia_g"])
def test_a_forget_batch_of_one_is_said_where_batchnorm_cannot_take_it(tiny, optimizer):
    start, alone = mc.weights_of(made("batchnorm1d")), settings(forget_batch_size=1)
    with pytest.raises(mc.BadInput, match="too small for a layer of the network"):
        mc.unlearn(start, tiny, "npo", seed=0, optimizer=optimizer, settings=alone)
    mc.unlearn(start, tiny, "random_labels", seed=0, settings=alone)


def test_float32_traces_keep_what_half_precision_loses(tiny, theta, tmp_path):
    half, single = (mc.trace(theta, tiny, dtype=d) for d in ("float16", "float32"))
    assert single.logits["test"].dtype == np.float32 and single.meta["dtype"] == "float32" and "dtype" not in half.meta
    assert np.array_equal(single.logits["test"].astype(np.float16), half.logits["test"])
    assert not np.array_equal(single.logits["test"], half.logits["test"].astype(np.float32))
    single.save(tmp_path / "t.npz")
    assert mc.Trace.load(tmp_path / "t.npz").logits["test"].dtype == np.float32


def test_a_twin_keeps_the_frozen_values_of_the_weights(tiny):
    start = mc.weights_of(frozen_backbone())
    other = replace(start, params={k: v + 1 for k, v in start.params.items()})
    assert torch.equal(anew(other, tiny, 0).params["0.weight"], other.params["0.weight"])


class Counting(nn.Module):
    """Counts its calls in place, in evaluation too."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 10)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls.add_(1)
        return self.head(x.flatten(1))


@pytest.mark.parametrize("method", ["salun", "ssd", "npo"])
def test_looking_at_the_original_leaves_its_buffers_as_they_are(method, tiny):
    theta = mc.weights_of(Counting())
    mc.unlearn(theta, tiny, method, seed=0, settings=settings())
    assert theta.buffers["calls"] == 0
