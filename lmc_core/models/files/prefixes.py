"""Words that training tools put around the names of parameters: `module.`, `_orig_mod.`, `model.`
and the like.

Whether a word belongs to a name is not guessed: `model.` is a wrapper of one network and the
beginning of a Llama's own names. `forms` yields the names with more and more taken away, and
whoever knows the layout takes the first that fits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

# parts of names that torch's wrappers add wherever a module is wrapped, and that no module has for
# a name
WRAPPERS = (
    "_orig_mod",
    "_forward_module",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "_ddp_wrapped_module",
)
PARALLEL = "module"  # DataParallel's and DeepSpeed's, mostly in front
# attributes in which scripts hold their network; removed in front alone
HOLDERS = tuple("model net network pretrained_model base_model ema_model ema backbone".split())
DEEPEST = 8  # words in front of a name

Form = Mapping[str, str]  # name in the file -> name without wrappers


def forms(names: Collection[str]) -> Iterator[Form]:
    """The names as they are, then with one kind of wrapper after the other taken away.

    Args:
        names: of the parameters in the file.
    """
    form: Form = {name: name for name in names}
    yield form
    for words in (WRAPPERS, (PARALLEL,)):
        shorter = _without(form, words)
        if shorter is not None:
            form = shorter
            yield form
    for _ in range(DEEPEST):
        shorter = _without_front(form)
        if shorter is None:
            return
        form = shorter
        yield form


def removed(form: Form) -> list[str]:
    """The words that a form leaves out, in the order in which they are met."""
    words: dict[str, None] = {}
    for name, bare in form.items():
        if name != bare:
            parts, rest = name.split("."), bare.split(".")
            words |= {part: None for part in parts if parts.count(part) > rest.count(part)}
    return list(words)


def _without(form: Form, words: Collection[str]) -> Form | None:
    """The names without some parts, wherever they are; None if that changes nothing or makes two of
    them one.
    """
    shorter = {
        name: ".".join(part for part in bare.split(".") if part not in words)
        for name, bare in form.items()
    }
    return _sound(form, shorter)


def _without_front(form: Form) -> Form | None:
    """The names without the holder that most of them begin with."""
    counts = {word: sum(bare.startswith(f"{word}.") for bare in form.values()) for word in HOLDERS}
    word = max(counts, key=lambda each: counts[each])
    if not counts[word]:
        return None
    return _sound(form, {name: bare.removeprefix(f"{word}.") for name, bare in form.items()})


def _sound(form: Form, shorter: Form) -> Form | None:
    if shorter == form or len(set(shorter.values())) < len(shorter) or not all(shorter.values()):
        return None
    return shorter
