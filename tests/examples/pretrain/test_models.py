"""The models of examples/pretrain: against Hugging Face's, the papers' sizes, and one another.

logits.npz, beside this file, holds the logits of transformers 5.24.0 (torch 2.13.0, CPU, float32)
for `formula_tensors`, and the config.json that it read. To make it again, from the root of the
repository, where torch and transformers are installed too:

    import json, pathlib, tempfile, numpy, torch, transformers
    from safetensors.numpy import save_file
    from examples.pretrain.hf import huggingface_config
    from tests.examples.pretrain.test_models import GOLDEN, LENGTH, TINY, TOKENS, formula_tensors

    found, folder = {}, pathlib.Path(tempfile.mkdtemp())
    for name, shape in TINY.items():
        config = json.dumps(huggingface_config(shape, LENGTH))
        save_file(formula_tensors(shape), folder / "model.safetensors", metadata={"format": "pt"})
        (folder / "config.json").write_text(config)
        model, about = transformers.AutoModelForCausalLM.from_pretrained(
            folder, output_loading_info=True, experts_implementation="eager"
        )
        assert not any(about.values()), about
        with torch.no_grad():
            found[name] = model.eval()(torch.tensor(TOKENS)).logits.numpy()
        found[f"{name}-config"] = numpy.array(config)
    numpy.savez_compressed(GOLDEN, **found)
"""

import dataclasses
import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from examples.pretrain import counts, layers
from examples.pretrain.errors import UserError
from examples.pretrain.generate import generate
from examples.pretrain.hf import from_huggingface, huggingface_config, to_huggingface
from examples.pretrain.names import name_of
from examples.pretrain.presets import SHAPES
from examples.pretrain.step import cross_entropy

GOLDEN = Path(__file__).with_name("logits.npz")
LENGTH = 6
TOKENS = np.arange(2 * LENGTH).reshape(2, LENGTH) * 7 % 20
# Both forms of each family, with 108 padded tokens. The capacity is enough for all.
TINY = {
    f"{family}-{count}": dataclasses.replace(
        SHAPES[f"{family}-nano"], vocab=20, layers=count, **more.get(count, {})
    )
    for family, more in {
        "llama": {},
        "qwen2moe": {8: {"capacity_factor": 2.0}},
        "gpt2": {},
    }.items()
    for count in (2, 8)
}
LISTS = [name for name in TINY if name.endswith("-2")]


def formula_tensors(shape):
    """A checkpoint of sin(0^2), sin(1^2), ... in the order of the tensors' names."""
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, np.float32), counts.abstract_params(shape))
    tensors, start = to_huggingface(shape, zeros), 0
    for name in sorted(tensors):
        like = tensors[name]
        values = 0.2 * np.sin(np.arange(start, start + like.size, dtype=np.float64) ** 2)
        norm = name.endswith("weight") and like.ndim == 1
        tensors[name] = (values.reshape(like.shape) + norm).astype(np.float32)
        start += like.size
    return tensors


def graphdef_of(shape, dtype=jnp.float32):
    return nnx.graphdef(nnx.eval_shape(lambda: counts.build(shape, dtype=dtype)))


def with_params(shape, params, dtype=jnp.float32):
    """A compiled model of these parameters, from (tokens, key=None)."""
    graphdef = graphdef_of(shape, dtype)
    call = jax.jit(lambda params, tokens, key: nnx.merge(graphdef, params)(tokens, key=key))
    return lambda tokens, key=None: call(params, tokens, key)


@functools.cache
def tiny_params(name):
    return from_huggingface(TINY[name], formula_tensors(TINY[name]))


@functools.cache
def tiny_model(name):
    return with_params(TINY[name], tiny_params(name))


def assert_same_bits(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


@pytest.mark.parametrize("name", TINY)
def test_logits_are_those_of_transformers(name):
    golden = np.load(GOLDEN)
    logits, _ = tiny_model(name)(TOKENS)
    assert json.loads(str(golden[f"{name}-config"])) == huggingface_config(TINY[name], LENGTH)
    # float32 rounds to 6e-8 of the logits, up to 5 here; 1.6e-6 of them were found over 8 layers.
    np.testing.assert_allclose(logits[..., : TINY[name].vocab], golden[name], atol=1e-5, rtol=1e-5)


def test_round_trip_to_hugging_face_keeps_all_bits():
    for name, shape in TINY.items():
        tensors = formula_tensors(shape)
        back = to_huggingface(shape, from_huggingface(shape, tensors))
        assert back.keys() == tensors.keys()
        assert_same_bits(back, tensors)
        # safetensors would write the others wrongly.
        assert all(tensor.flags.c_contiguous for tensor in back.values()), name


def test_a_checkpoint_that_does_not_fit_is_named():
    shape = TINY["gpt2-8"]
    tensors = formula_tensors(shape)
    key = "transformer.h.3.attn.c_attn.weight"
    with pytest.raises(UserError, match=f"lacks {key}$"):
        from_huggingface(shape, {k: v for k, v in tensors.items() if k != key})
    with pytest.raises(UserError, match=r"has more than this model, transformer.*and 9 more"):
        from_huggingface(shape, formula_tensors(dataclasses.replace(shape, layers=9)))
    with pytest.raises(UserError, match=r"wte.weight has shape \(20, 64\)"):
        from_huggingface(dataclasses.replace(shape, vocab=30), tensors)
    with pytest.raises(UserError, match=rf"{key} has shape \(64, 191\)"):
        from_huggingface(shape, tensors | {key: tensors[key][:, 1:]})
    from_huggingface(shape, tensors | {"lm_head.weight": tensors["transformer.wte.weight"]})


# GradPower, Tables 3 and 4: millions of parameters, and of those that a token goes through.
PRINTED = {
    "llama-66m": (66, 66),
    "llama-0.2b": (200, 200),
    "llama-0.25b": (237, 237),
    "llama-0.4b": (400, 400),
    "llama-1b": (1004, 1004),
    "llama-2b": (1994, 1994),
    "qwen2moe-0.5b": (502, 247),
    "qwen2moe-1b": (1040, 297),
    "qwen2moe-2b": (1945, 536),
    # Not GradPower's, and named after these sizes: AMS/Grams, STACEY, S3.
    "llama-100m": (100, 100),
    "gpt2-345m-as-printed": (64, 64),
}


@pytest.mark.parametrize("preset", PRINTED)
def test_counts_are_within_a_percent_of_the_papers(preset):
    total, active, _ = counts.count(SHAPES[preset])
    np.testing.assert_allclose([total / 1e6, active / 1e6], PRINTED[preset], rtol=0.01)


@pytest.mark.parametrize("preset", SHAPES)
def test_counts_are_those_of_the_arrays_without_their_padding(preset):
    shape = SHAPES[preset]
    real = sum(x.size for x in jax.tree.leaves(counts.abstract_params(shape)))
    tables = 1 if preset.startswith("gpt2") else 2  # tied, or embedding and head
    padding = -shape.vocab % 128 * shape.width * tables
    assert counts.count(shape).total == real - padding


def test_active_counts_are_those_of_a_model_with_only_the_active_experts():
    for preset in ("qwen2moe-nano", "qwen2moe-2b"):
        shape = SHAPES[preset]
        small = counts.count(dataclasses.replace(shape, experts=shape.active_experts))
        router = shape.layers * shape.width * (shape.experts - shape.active_experts)
        assert counts.count(shape).active == small.total + router


@pytest.mark.parametrize("preset", ["llama-nano", "gpt2-nano"])
def test_operations_are_those_that_the_compiler_counts(preset):
    shape = dataclasses.replace(SHAPES[preset], width=256)
    graphdef, params = nnx.split(nnx.eval_shape(lambda: counts.build(shape)))
    tokens = jax.ShapeDtypeStruct((1, 129), jnp.int32)
    gradient = jax.jit(jax.grad(lambda p, t: cross_entropy(graphdef, p, t)[0].mean()))
    compiled = gradient.lower(params, tokens).compile().cost_analysis()["flops"] / 128
    # The compiled attention computes what the mask hides, and norms and softmax count there.
    hidden = 6 * shape.layers * shape.width * 128
    assert 1 < compiled / (counts.flops_per_token(shape, 128) + hidden) < 1.04


def test_7b_is_built_without_an_array():
    before = {id(x) for x in jax.live_arrays()}
    shape = SHAPES["gpt2-7b"]
    model = nnx.eval_shape(lambda: counts.build(shape, dtype=jnp.bfloat16))
    tokens = jax.ShapeDtypeStruct((1, shape.context), jnp.int32)
    logits, _ = nnx.eval_shape(lambda model, tokens: model(tokens), model, tokens)
    assert logits.shape == (1, 4096, 50304)
    matrices, vectors = 12 * 4096**2, 13 * 4096
    tables = (50257 + 4096) * 4096
    assert counts.count(shape).total == 32 * (matrices + vectors) + tables + 2 * 4096
    assert sum(x.nbytes for x in jax.live_arrays() if id(x) not in before) < 1e6


@pytest.mark.parametrize("name", LISTS)
def test_padded_tokens_have_no_probability_and_no_gradient(name):
    shape, params = TINY[name], tiny_params(name)
    logits, _ = tiny_model(name)(TOKENS)
    assert logits.shape[-1] == 128
    assert np.all(nnx.softmax(logits)[..., shape.vocab :] == 0)
    graphdef = graphdef_of(shape)
    gradient = jax.jit(
        jax.grad(lambda p: cross_entropy(graphdef, p, jnp.asarray(TOKENS))[0].mean())
    )
    tables = [
        np.moveaxis(np.asarray(x), layers.VOCABULARY_AXIS[name_of(path)], 0)
        for path, x in jax.tree.leaves_with_path(gradient(params))
        if name_of(path) in layers.VOCABULARY_AXIS
    ]
    for table in tables:
        assert np.all(table[shape.vocab :] == 0)
        assert np.any(table[: shape.vocab] != 0)
    assert len(tables) == (1 if "gpt2" in name else 2)


@pytest.mark.parametrize("name", [*LISTS, "qwen2moe-dropping"])
def test_logits_do_not_depend_on_later_tokens(name):
    if name == "qwen2moe-dropping":
        shape = dataclasses.replace(TINY["qwen2moe-2"], capacity_factor=0.5)
        model = with_params(shape, tiny_params("qwen2moe-2"))
    else:
        model = tiny_model(name)
    logits = model(TOKENS)[0]
    for position in range(1, LENGTH):
        changed = TOKENS.copy()
        changed[:, position] += 1
        other = model(changed)[0]
        np.testing.assert_array_equal(other[:, :position], logits[:, :position])
        assert np.all(np.any(other[:, position] != logits[:, position], axis=-1))


@pytest.mark.parametrize("name", [name for name in TINY if name.endswith("-8")])
def test_stacked_layers_compute_what_a_list_of_layers_does(name, monkeypatch):
    shape = dataclasses.replace(TINY[name], dropout=0.2, layers=3)
    key, tensors = jax.random.key(0), formula_tensors(shape)

    def computed(stacked_from):
        monkeypatch.setattr(layers, "STACKED_FROM", stacked_from)
        params = from_huggingface(shape, tensors)
        assert (set(params["layers"]) == {0, 1, 2}) == (stacked_from > 3)
        return with_params(shape, params)(TOKENS, key)

    (expected, expected_loss), (logits, loss) = computed(3), computed(4)
    # The same operations, fused differently: float32 rounding, as against transformers.
    np.testing.assert_allclose(logits, expected, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)


@pytest.mark.parametrize("name", LISTS)
def test_dropout_follows_its_key(name):
    model = with_params(dataclasses.replace(TINY[name], dropout=0.2), tiny_params(name))
    one, same, other = (model(TOKENS, jax.random.key(seed))[0] for seed in (0, 0, 1))
    assert_same_bits(one, same)
    assert np.abs(one - other).max() > 0.1
    np.testing.assert_array_equal(model(TOKENS)[0], tiny_model(name)(TOKENS)[0])


@pytest.mark.parametrize("name", LISTS)
def test_no_two_dropouts_of_a_pass_draw_the_same_mask(name, monkeypatch):
    graphdef, keys = graphdef_of(dataclasses.replace(TINY[name], dropout=0.2)), []

    def record(x, rate, key, place):
        assert rate == 0.2
        keys.append(jax.random.key_data(jax.random.fold_in(key, place)))
        return x

    @jax.jit
    def drawn(params):
        nnx.merge(graphdef, params)(jnp.asarray(TOKENS), key=jax.random.key(0))
        return jnp.stack(keys)

    monkeypatch.setattr(layers, "dropout", record)
    found = set(map(tuple, drawn(tiny_params(name)).tolist()))
    assert len(found) == len(keys) == (5 if "gpt2" in name else 4)


def test_dropout_keeps_the_mean_and_tells_places_apart():
    x, other = (layers.dropout(jnp.ones(100_000), 0.2, jax.random.key(0), i) for i in (0, 1))
    np.testing.assert_array_equal(jnp.unique(x), np.float32([0, 1.25]))
    assert abs(x.mean() - 1) < 5 * 0.5 / 100_000**0.5  # 5 deviations
    assert abs(jnp.mean(x != other) - 2 * 0.2 * 0.8) < 5 * 0.47 / 100_000**0.5


@pytest.mark.parametrize("name", [*LISTS, "qwen2moe-8"])
def test_bfloat16_computation_keeps_float32_parameters_and_logits(name):
    abstract = nnx.eval_shape(lambda: counts.build(TINY[name], dtype=jnp.bfloat16))
    assert {x.dtype for x in jax.tree.leaves(nnx.state(abstract))} == {jnp.dtype(jnp.float32)}
    logits, loss = with_params(TINY[name], tiny_params(name), jnp.bfloat16)(TOKENS)
    assert logits.dtype == loss.dtype == jnp.float32
    error = np.sqrt(np.mean((logits - tiny_model(name)(TOKENS)[0])[..., :20] ** 2))
    # Above float32's error, so that it was used; some roundings of 2^-9 of logits around 1.
    assert 1e-3 < error < 0.05


@pytest.mark.parametrize("name", [pytest.param("llama-2", marks=pytest.mark.hunt), "llama-8"])
def test_remat_gives_the_same_loss_and_gradients_in_less_memory(name):
    def gradient(remat):
        shape = dataclasses.replace(TINY[name], dropout=0.2, remat=remat)
        graphdef = graphdef_of(shape)
        tokens = jnp.tile(jnp.asarray(TOKENS), (4, 4))

        def loss(params):
            losses, auxiliary = cross_entropy(graphdef, params, tokens, jax.random.key(0))
            return losses.mean() + auxiliary

        compiled = jax.jit(jax.value_and_grad(loss)).lower(tiny_params(name)).compile()
        return compiled(tiny_params(name)), compiled.memory_analysis().temp_size_in_bytes

    (found, less), (expected, more) = gradient(True), gradient(False)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        # The same operations, fused differently; sums of 180 terms of either sign.
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert less < more


def test_parameters_start_as_hugging_face_starts_them():
    shape = TINY["gpt2-8"]
    params = jax.jit(lambda: nnx.state(counts.build(shape, seed=1)))()
    for path, x in jax.tree.leaves_with_path(params):
        name = name_of(path)
        if x.ndim > 2 or name.endswith("embedding"):
            deviation = 0.02 / 4 if "c_proj" in name else 0.02
            np.testing.assert_allclose(jnp.std(x), deviation, rtol=0.05)  # of 8192 and more
        else:
            np.testing.assert_array_equal(x, name.endswith("scale"))
    flat = np.asarray(params["layers"]["attn"]["q_proj"]["kernel"][...]).reshape(8, -1)
    assert np.abs(np.corrcoef(flat) - np.eye(8)).max() < 0.1  # layers differ: 6 deviations


@pytest.mark.parametrize("name", LISTS)
def test_all_state_is_parameters(name):
    model = nnx.eval_shape(lambda: counts.build(TINY[name], dtype=jnp.bfloat16))
    _, params, rest = nnx.split(model, nnx.Param, ...)
    assert jax.tree.leaves(params)
    assert not jax.tree.leaves(rest)


def test_gpt2_refuses_more_tokens_than_positions():
    with pytest.raises(UserError, match=r"6 tokens .* --shape.context 6 or"):
        with_params(dataclasses.replace(TINY["gpt2-2"], context=5), tiny_params("gpt2-2"))(TOKENS)


def continued(name, prompt, length, *, seed=0, context=64, **options):
    model = nnx.merge(graphdef_of(TINY[name]), tiny_params(name))
    key = jax.random.key(seed)
    tokens = generate(model, jnp.asarray(prompt), length, key=key, context=context, **options)
    np.testing.assert_array_equal(tokens[:, : prompt.shape[1]], prompt)
    return np.asarray(tokens[:, prompt.shape[1] :])


@pytest.mark.parametrize("context", [4, 8])  # less than the prompt, and less than all
def test_greedy_generation_takes_the_likeliest_token_after_the_last_ones_in_the_window(context):
    tokens = TOKENS
    for _ in range(5):
        logits = tiny_model("gpt2-2")(tokens[:, -context:])[0]
        tokens = np.concatenate([tokens, logits[:, -1:].argmax(axis=-1)], axis=1)
    for options in ({"temperature": 0.0}, {"temperature": 0.0, "seed": 1}, {"top_k": 1}):
        found = continued("gpt2-2", TOKENS, 5, context=context, **options)
        np.testing.assert_array_equal(found, tokens[:, LENGTH:])


def test_generation_follows_its_key():
    one, same, other = (continued("llama-2", TOKENS, 20, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert np.mean(one != other) > 0.5


@pytest.mark.parametrize(
    ("temperature", "top_k"), [(1.0, 0), (0.5, 0), (2.0, 3), (1e4, 0), (1e4, 3), (np.inf, 0)]
)
def test_tokens_are_drawn_from_the_tempered_distribution_over_the_likeliest(temperature, top_k):
    draws = 4000
    logits = np.asarray(tiny_model("llama-2")(TOKENS[:1, :2])[0][0, -1, :20], np.float64)
    if top_k:
        logits[np.argsort(logits)[:-top_k]] = -np.inf
    expected = np.exp((logits - logits.max()) / temperature)
    expected /= expected.sum()
    prompt = np.tile(TOKENS[:1, :2], (draws, 1))
    drawn = continued("llama-2", prompt, 1, temperature=temperature, top_k=top_k)
    assert drawn.max() < 20  # no padding, not even where the temperature levels its mask
    frequency = np.bincount(drawn[:, 0], minlength=20) / draws
    deviation = np.sqrt(expected * (1 - expected) / draws)
    assert np.all(np.abs(frequency - expected) <= 5 * deviation)  # 0 where expected is 0
