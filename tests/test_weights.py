"""Weights as values: vectors, mixtures, layouts, BatchNorm statistics, files."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from safetensors.torch import load_file
from torch import nn

from mcutils.errors import BadInput
from mcutils.models.vision import build
from mcutils.weights import (
    Net,
    check_same_shape,
    cosine,
    count,
    distance,
    flatten,
    laid_out,
    load,
    memory_format,
    mix,
    module_of,
    refresh_batchnorm,
    running_layers,
    save,
    weights_of,
    write,
)

WIDTH = 2


def convnet(seed, name="convnet", width=WIDTH):
    """Weights in float64 whose BatchNorm buffers and scales are not those of a fresh network."""
    net = build(name, 1, 10, seed, width=width).double()
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p += 0.1 * torch.randn(p.shape, generator=rng, dtype=p.dtype)
    return weights_of(net, name)


def images(n=24, channels=1, seed=0):
    return torch.randn(n, channels, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


class Flat(nn.Module):
    """Calls ``view``, which channels-last activations refuse."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4 * 64, 10)

    def forward(self, x):
        return self.head(self.conv(x).view(len(x), -1))


class Tied(nn.Module):
    """One matrix used by two layers."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.head(torch.relu(self.b(torch.relu(self.a(x.flatten(1))))))


# vectors and mixtures


def test_a_vector_holds_all_parameters_in_order():
    w = convnet(0)
    pieces = flatten(w).split([p.numel() for p in w.params.values()])
    assert all(torch.equal(piece.view(p.shape), p) for piece, p in zip(pieces, w.params.values(), strict=True))
    assert count(w) == len(flatten(w)) == sum(p.numel() for p in w.net.parameters())


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-3, 3), min_size=1, max_size=5), st.integers(0, 100))
def test_mix_is_the_sum_of_coefficient_times_tensor(coefficients, seed):
    rng = np.random.default_rng(seed)
    points = [
        {"m": torch.from_numpy(rng.normal(size=(3, 2))), "b": torch.from_numpy(rng.normal(size=4))}
        for _ in coefficients
    ]
    mixed = mix(coefficients, points)
    for name in ("m", "b"):
        expected = sum(c * p[name].numpy() for c, p in zip(coefficients, points, strict=True))
        np.testing.assert_allclose(mixed[name].numpy(), expected, rtol=1e-13, atol=1e-14)


def test_mix_is_exact_where_it_can_be():
    a, b, bad = ({"w": convnet(s).params["0.weight"]} for s in (0, 1, 2))
    bad = {"w": bad["w"] * torch.nan}
    assert torch.equal(mix((1, 0), (a, bad))["w"], a["w"]) and torch.equal(mix((0, 1), (bad, b))["w"], b["w"])
    assert torch.equal(mix((0.5, 0.5), (a, b))["w"], (a["w"] + b["w"]) / 2)
    assert torch.equal(mix((0, 0), (a, b))["w"], torch.zeros_like(a["w"]))
    single = [{"w": p["w"].float()} for p in (a, b)]
    assert torch.equal(mix((0.5, 0.5), single)["w"], (single[0]["w"] + single[1]["w"]) / 2)


def test_mix_leaves_the_points_alone_and_passes_gradients():
    points = [convnet(s).params for s in (0, 1, 2)]
    before = [{k: v.clone() for k, v in p.items()} for p in points]
    free = {k: v.clone().requires_grad_(True) for k, v in points[1].items()}
    mixed = mix((0.25, 0.5, 0.25), [points[0], free, points[2]])
    sum(v.sum() for v in mixed.values()).backward()
    assert all(equal(p, q) for p, q in zip(points, before, strict=True))
    assert all((v.grad == 0.5).all() for v in free.values())


@pytest.mark.parametrize("coefficients", [(1e-17, 1.0), (1.0, 1e-17), (1.0, 1.0)])
def test_mix_never_writes_into_a_point_of_coefficient_one(coefficients):
    points = [convnet(s).params for s in (0, 1)]
    before = [{k: v.clone() for k, v in p.items()} for p in points]
    mix(coefficients, points)
    assert all(equal(p, q) for p, q in zip(points, before, strict=True))


def test_distance_and_cosine_against_numpy():
    a, b, o = (convnet(s) for s in range(3))
    u, v = flatten(a).numpy() - flatten(o).numpy(), flatten(b).numpy() - flatten(o).numpy()
    assert distance(a, b) == pytest.approx(np.linalg.norm(flatten(a).numpy() - flatten(b).numpy()), rel=1e-12)
    assert cosine(a, b, o) == pytest.approx(u @ v / np.linalg.norm(u) / np.linalg.norm(v), rel=1e-12)
    assert cosine(a, a, o) == pytest.approx(1)


# what may be mixed


def test_other_sizes_and_other_networks_are_refused():
    with pytest.raises(BadInput, match="different architectures: convnet with .* and convnet with"):
        check_same_shape([convnet(0), convnet(0, width=3)])
    with pytest.raises(BadInput, match="convnet with .* and convnet_gn with"):
        check_same_shape([convnet(0), convnet(0, "convnet_gn")])


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused(bad):
    w = convnet(0)
    w.params["1.bias"][0] = bad
    with pytest.raises(BadInput, match="NaN or infinity in 1.bias"):
        check_same_shape([convnet(1), w])


def test_a_buffer_may_hold_infinity_but_not_nan():
    net = nn.Linear(2, 2)
    net.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    check_same_shape([weights_of(net)])
    net.mask[0] = torch.nan
    with pytest.raises(BadInput, match="in mask"):
        check_same_shape([weights_of(net)])


# modules


def test_weights_are_copies_of_the_module():
    net = build("convnet", 1, 10, 0, width=WIDTH)
    w = weights_of(net)
    kept = flatten(w).clone()
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
    assert torch.equal(flatten(w), kept) and net.training and all(p.requires_grad for p in net.parameters())
    assert w.model == "Sequential" and w.device == torch.device("cpu")


def test_module_of_is_a_copy_in_evaluation_mode():
    w = convnet(0)
    kept = flatten(w).clone()
    module = module_of(w)
    assert not module.training and equal(dict(module.named_parameters()), w.params)
    with torch.no_grad():
        for p in module.parameters():
            p.zero_()
    assert torch.equal(flatten(w), kept)


def test_write_copies_into_a_module():
    w, module = convnet(1), module_of(convnet(0))
    write(module, w.params, {**w.buffers, "1.running_mean": w.buffers["1.running_mean"] + 1})
    assert equal(dict(module.named_parameters()), w.params)
    assert torch.equal(module[1].running_mean, w.buffers["1.running_mean"] + 1)


def test_to_another_dtype_leaves_integers():
    w = convnet(0).to(torch.float32)
    assert {v.dtype for v in w.params.values()} == {torch.float32}
    assert w.buffers["1.running_mean"].dtype == torch.float32
    assert w.buffers["1.num_batches_tracked"].dtype == torch.int64
    assert convnet(0).to("cpu").params["0.weight"].dtype == torch.float64


def test_net_is_the_module_at_any_tensors():
    a, b, x = convnet(0), convnet(1), images()
    net = Net(a.net, a.params, a.buffers)
    assert torch.equal(net(x), module_of(a)(x))
    assert torch.equal(net.at(b.params)(x), module_of(b)(x)) and torch.equal(net(x), module_of(a)(x))
    assert net.at(b.params).params is b.params


def test_net_in_training_mode_moves_its_own_buffers_only():
    w, x = convnet(0), images()
    buffers = laid_out(w.buffers, torch.contiguous_format)
    Net(w.net, w.params, buffers, train=True)(x)
    assert not torch.equal(buffers["1.running_mean"], w.buffers["1.running_mean"])
    assert (w.buffers["1.running_mean"] == 0).all() and (w.net[1].running_mean == 0).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_net_brings_images_into_the_layout_of_its_parameters(channels, layout):
    strides = []

    class Spy(nn.Conv2d):
        def forward(self, x):
            strides.append(x.stride())
            return super().forward(x).mean((2, 3))

    w = weights_of(Spy(channels, 4, 3))
    Net(w.net, laid_out(w.params, layout), w.buffers)(images(channels=channels).float())
    last = (64 * channels, 1, 8 * channels, channels)
    assert strides == [last if layout == torch.channels_last else (64 * channels, 64, 8, 1)]


def test_memory_format_is_probed():
    x = images().float()
    assert memory_format(weights_of(build("convnet", 1, 10, 0)), x) == torch.channels_last
    assert memory_format(weights_of(Flat()), x) == torch.contiguous_format
    assert memory_format(weights_of(Tied()), x) == torch.contiguous_format
    with pytest.raises(BadInput, match=r"a Tied cannot be called on examples of shape \(1, 4, 4\): .*\.$"):
        memory_format(weights_of(Tied()), x[..., :4, :4])
    with pytest.raises(BadInput, match=r"a Sequential cannot be called on examples of shape \(3, 8, 8\)"):
        memory_format(weights_of(build("convnet", 1, 10, 0)), images(channels=3).float())


def test_laid_out_copies():
    w = convnet(0)
    copies = laid_out(w.params, torch.channels_last)
    assert equal(copies, w.params) and copies["3.weight"].is_contiguous(memory_format=torch.channels_last)
    copies["0.weight"].zero_()
    assert w.params["0.weight"].any()


# BatchNorm statistics


def brute_force(w, batches):
    """Mean over batches of what each BatchNorm layer sees of a batch: {layer: (mean, variance)}."""
    module, found = module_of(w), {}

    def look(name):
        def hook(layer, inputs):
            x = inputs[0].transpose(0, 1).flatten(1)
            found.setdefault(name, []).append((x.mean(1), x.var(1, unbiased=True)))

        return hook

    for name, layer in module.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.train()
            layer.register_forward_pre_hook(look(name))
    with torch.no_grad():
        for x in batches:
            module(x)
    return {name: [torch.stack(part).mean(0) for part in zip(*seen, strict=True)] for name, seen in found.items()}


def assert_statistics(refreshed, expected):
    assert expected
    for name, (mean, variance) in expected.items():
        torch.testing.assert_close(refreshed.buffers[f"{name}.running_mean"], mean, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(refreshed.buffers[f"{name}.running_var"], variance, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("size", [6, 7, 24])
def test_refreshed_statistics_are_means_of_batch_statistics(size):
    w, x = convnet(0), images()
    assert_statistics(refresh_batchnorm(w, x, size), brute_force(w, x.split(size)))


def test_refresh_forgets_the_old_statistics_and_depends_on_the_partition():
    w, x = convnet(0), images()
    one, other = refresh_batchnorm(w, x, 6), refresh_batchnorm(w, x, 8)
    assert equal(refresh_batchnorm(one, x, 8).buffers, other.buffers)
    assert not torch.equal(one.buffers["1.running_var"], other.buffers["1.running_var"])


def test_refresh_leaves_its_input_alone():
    w = convnet(0)
    kept = {k: v.clone() for k, v in {**w.params, **w.buffers}.items()}
    new = refresh_batchnorm(w, images())
    assert equal({**w.params, **w.buffers}, kept) and equal(new.params, w.params)
    assert all(m.momentum == 0.1 for m in running_layers(w.net).values())


def test_refresh_keeps_dropout_off():
    net = build("convnet", 1, 10, 0, width=WIDTH).double()
    with_dropout = nn.Sequential(nn.Dropout(0.9), *net)
    x, before = images(), torch.get_rng_state()
    refreshed = refresh_batchnorm(weights_of(with_dropout), x, 8)
    assert torch.equal(torch.get_rng_state(), before)
    plain = refresh_batchnorm(weights_of(net), x, 8)
    assert equal(
        {f"{int(k[0]) + 1}{k[1:]}": v for k, v in plain.buffers.items() if k[1] == "."},
        {k: v for k, v in refreshed.buffers.items() if k[1] == "." and k[0] in "258"},
    )


def test_refresh_passes_by_a_network_without_running_statistics():
    for w in (
        convnet(0, "convnet_gn", 8),
        weights_of(nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64, track_running_stats=False))),
    ):
        assert refresh_batchnorm(w, images()) is w


# files


def test_file_round_trip(tmp_path):
    points = [refresh_batchnorm(convnet(s).to(torch.float32), images(seed=s).float()) for s in (0, 1, 2)]
    save(tmp_path / "w.safetensors", points)
    again = load(tmp_path / "w.safetensors")
    assert len(again) == 3
    for a, b in zip(again, points, strict=True):
        assert equal(a.params, b.params) and equal(a.buffers, b.buffers) and a.model == "convnet"
        assert torch.equal(module_of(a)(images().float()), module_of(b)(images().float()))


def test_the_same_weights_give_the_same_bytes(tmp_path):
    weights, notes = convnet(0), {f"note {k}": "ä" * k for k in range(9)}
    files = [tmp_path / str(k) for k in range(4)]
    for path in files:
        save(path, [weights], **notes)
    assert len({path.read_bytes() for path in files}) == 1
    assert load_file(files[0]).keys() == {
        f"0/{group}/{name}" for group in ("params", "buffers") for name in getattr(weights, group)
    }


def test_file_of_a_module_of_the_users_own(tmp_path):
    w = weights_of(Tied())
    save(tmp_path / "w.safetensors", [w])
    (again,) = load(tmp_path / "w.safetensors", net=Tied())
    module = module_of(again)
    assert equal(again.params, w.params) and module.a.weight is module.b.weight and "b.weight" not in w.params
    assert torch.equal(module(images().float()), module_of(w)(images().float()))
    with pytest.raises(BadInput, match="weights of Tied, which is not a named model: pass net="):
        load(tmp_path / "w.safetensors")
