"""Names: what those of a model's parts tell of its parameters, and those that were meant."""

import difflib
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

__all__ = ["Part", "names_of", "nearest", "parameter_kind", "parameter_part"]

Part = Literal["embedding", "input", "qk", "vo", "ffn", "head", "conv", "adapter", "rest"]
"""What :func:`parameter_part` tells apart."""


class _Name(NamedTuple):
    """One name of a path: itself in lower case, and its words, LayerNorm_0 being layer and norm."""

    text: str
    words: frozenset[str]

    def has(self, *words: str) -> bool:
        return not self.words.isdisjoint(words)

    def contains(self, pattern: str) -> bool:
        """Whether the pattern is found within a word: names such as posembed run words together."""
        return any(re.search(pattern, word) for word in self.words)


def parameter_part(path: str) -> Part:
    """The part of a transformer that a parameter belongs to, by the names of Flax and others.

    The innermost name that says something decides: in "attn/c_proj" and "mlp/c_proj" that is not
    the last one. "input" is a linear map of the input, such as the embedding of patches, "head" all
    within a part that ends in logits, "adapter" LoRA's. What attention joins, such as c_attn or
    kv_proj, is "vo", as are the values in it. Norms, biases added to attention, routers of experts
    and tokens that are learned are "rest", as is all whose names say nothing, such as Dense_0.

    Args:
      path: the names on the way to the parameter, joined by "/".

    Returns:
      The part.

    Examples:
      >>> from gradpow.core import parameter_part
      >>> [parameter_part(f"h/0/{name}/kernel") for name in ("attn/c_attn", "mlp/c_proj", "ln_1")]
      ['vo', 'ffn', 'rest']
    """
    names = names_of(path)
    if any(name.has("lora") for name in names):
        return "adapter"
    if _is_of_no_block(names) or any(map(_is_router, names)):
        return "rest"
    if any(name.contains("^conv") for name in names[-2:]):
        return "conv"
    for place in reversed(range(len(names))):
        block = _block(names[place])
        if block == "attention":
            return _of_attention(names[place:])
        if block == "embedding":
            if not _is_map(names[place:]):
                return "embedding"
            return "rest" if _in_layers(names) else "input"
        if block == "ffn" and "embedding" in map(_block, names[:place]):
            return "input"  # such as the MLP of an embedding of times
        if block:
            return block
    return _by_itself(names)


def parameter_kind(path: str) -> Literal["embedding", "vector", "matrix"]:
    """Vectors are norms, biases and scales; embeddings have one row a token; all else is a matrix.

    By names, never by the number of axes: where layers are stacked in one tensor, a norm's scale
    has two. Vectors are also learned tokens (cls_token), biases of positions in attention, and what
    else is no map: a temperature, LayerScale's gains, decays of a state-space model.

    Examples:
      >>> from gradpow.core import parameter_kind
      >>> [parameter_kind(path) for path in ("wte/embedding", "ln_1/scale", "mlp/kernel")]
      ['embedding', 'vector', 'matrix']
    """
    names = names_of(path)
    part = parameter_part(path)
    if part == "adapter":
        return "matrix"
    if _is_of_no_block(names) or re.search(_BIAS, names[-1].text):
        return "vector"
    return "embedding" if part == "embedding" else "matrix"


_NORM = r"norm|^(ln[a-z]?|[bg]n)$"
"""Within a word of a norm's name: rmsnorm, ln_1, lnf."""
_BIAS = r"(bias|offset|beta)$|(^|_)b$"
"""In the last name of what is added; b is Haiku's."""
_GAIN = (
    r"(scale|gamma|freqs?|sinks?)$|(^|weight_)g$"
    r"|^(t|d|a_log|a_param|lambda_?\d*|(log_?)?temperature)$|^time_"
)
"""In the last name of what multiplies, of scalars, and of decays in Mamba, Griffin and RWKV."""
_TOKEN = r"(^|_)(tokens?|cls|probe)$|^class_embedding$|^mask(ed)?_"
"""In the last name of a learned token: of the class, of what is masked, of a query that pools."""
_HEADS = {"head", "vocab", "softmax", "readout", "cls", "predictions", "score"}
_FFN = r"^(mlp|ffn|ffw|ff|moe|experts?|\w*glu|intermediate|transition)$|^feed|^relu$"
"""Within a word of an MLP's name; relu is that of T5's DenseReluDense."""
_QK = {"q", "k", "qk", "query", "queries", "key", "keys", "wq", "wk"}
_VALUES = {"v", "value", "values", "wv", "kv", "wkv", "qkv", "wqkv"}


def names_of(path: str) -> list[_Name]:
    """The path's names, without what only wraps an array, such as the value of Flax NNX.

    Examples:
      >>> from gradpow.core import names_of
      >>> [name.text for name in names_of("layers/0/Query/kernel/value")]
      ['layers', '0', 'query', 'kernel']
    """
    texts = [text for text in re.split(r"[/.]", path) if re.search(r"\w", text)]
    if len(texts) > 1 and texts[-1] in ("value", "array", "raw_value", "weights"):
        texts.pop()
    if len(texts) > 1 and texts[-1].isdigit():
        texts.pop()
    return [_Name(text.lower(), frozenset(_words(text))) for text in texts or [""]]


def _words(text: str) -> Iterable[str]:
    return map(str.lower, re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", text))


def _is_of_no_block(names: list[_Name]) -> bool:
    """Norms, gains, learned tokens, and tables of biases by relative position."""
    if any(n.has("rel", "relative", "relpos") and n.contains("bias|embed|table") for n in names):
        return True
    if re.search(f"{_GAIN}|{_TOKEN}", names[-1].text):
        return True
    # A norm's own parameter: an adaptive norm also has a map, in a part of its own.
    return any(name.contains(_NORM) and not name.has("modulation") for name in names[-2:])


def _is_router(name: _Name) -> bool:
    """What chooses among experts: a gate by itself, where a gate_proj is the MLP's."""
    return name.text == "gate" or name.has("router") or {"expert", "gate"} <= name.words


def _block(name: _Name) -> Literal["attention", "embedding", "ffn", "head", "rest"] | None:
    """The block that a name says, if it says one: norms do not, and no list does, by its plural."""
    if name.has("blocks", "layers", "attentions") or name.contains(_NORM):
        return None
    if name.text == "cpb_mlp":  # Swin's, of biases
        return "rest"
    if name.contains("attention|attn") or name.has("mha", "mhsa"):
        return "attention"
    if name.contains("embed") or name.has("wte", "wpe", "emb", "embs"):
        return "head" if name.contains("^unembed|^out") else "embedding"
    if name.words & _HEADS:
        return "head"
    if name.contains("^logit|^classif") and not name.has("pre"):
        return "head"
    if {"text", "projection"} <= name.words or {"visual", "projection"} <= name.words:
        return "head"
    return "ffn" if name.contains(_FFN) else None


def _of_attention(names: list[_Name]) -> Part:
    """Queries and keys, or values, outputs and what is joined."""
    # The attention's own name tells by letters only (attn_q): a multi_query_attention is no query.
    own, inner = names[0], names[1:]
    words = (own.words & {"q", "k", "v", "kv", "qkv"}).union(*(name.words for name in inner))
    return "qk" if words & _QK and not words & _VALUES else "vo"


def _is_map(names: list[_Name]) -> bool:
    """Whether what an embedding's name heads is a linear map and not a table of rows."""
    return names[-1].text in ("kernel", "bias", "b") or any(
        name.contains("^(patch|proj|linear|conv|dense|map)") for name in names
    )


def _by_itself(names: list[_Name]) -> Part:
    """For parameters that lie directly in a layer, or in none."""
    for name in reversed(names):
        if name.words & _VALUES or name.has("o", "wo"):
            return "vo"
        if name.words & _QK:
            return "qk"
        if not _in_layers(names) and (name.has("out", "output", "outputs") or name.text == "fc"):
            return "head"
        if not _in_layers(names) and name.has("in"):
            return "input"
        if re.search(r"^(w[123]|linear[12]|output)$", name.text):
            return "ffn"
        if name.has("fc", "wi", "gating"):
            return "ffn"
        if name.has("gate", "up", "down") and name.has("proj"):
            return "ffn"
    return "rest"


def _in_layers(names: list[_Name]) -> bool:
    """Whether a number or a plural says that there are several of what the names lie in."""
    many = r"^\d+$|layers|blocks|(layer|block|^h)_?\d+$"
    return any(re.search(many, name.text) for name in names)


def nearest(name: str, known: Iterable[str]) -> str:
    """For the error that nothing has this name: the names that come nearest, if any are near.

    Examples:
      >>> from gradpow.core import nearest
      >>> nearest("tigre", ["tiger", "lion"]), nearest("sgd", ["lion"])
      ('; the nearest is tiger', '')
    """
    near = difflib.get_close_matches(name, list(known), n=3)
    if not near:
        return ""
    return f"; the nearest {'is' if len(near) == 1 else 'are'} {', '.join(near)}"
