"""Captions of the figures, and figures for a page: embedded or linked."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path

from erasekit.errors import RunError, reason
from erasekit.runs.pages.rendering import link

_CAPTIONS = {
    "forget_retain": "Forgotten against retained: the nearer to the oracle, the better. "
    "Bars are 95 % intervals over concepts.",
    "scorecard_bars": "Zero-shot top-1 and similarity of each model on each subset, with "
    "95 % intervals.",
    "similarity_distributions": "Similarity of every test picture with its own name. "
    "What the erased model does to holdout concepts shows whether forgetting spread.",
    "similarity_matrix": "Pictures (rows) against names (columns). The forgotten come first "
    "and are framed.",
    "embedding_shift": "Where each concept stood before (dot) and stands after (drawing), in "
    "one map fitted on both models. In t-SNE, only nearness has a meaning.",
    "retrieval_gallery": "The five pictures that a name finds first, before and after. Right "
    "ones have a thick frame and a tick.",
    "loss_terms": "Each term of the loss over the steps, weights included; below, top-1 on "
    "the validation split.",
    "seen_and_known": "Per cent of right answers: names of the things in pictures, and answers in "
    "words alone. Only the first column should change.",
    "answers": "Pictures of the forgotten and of their neighbours, and what each model calls them. "
    "Right answers are ticked.",
    "mask": "Share of each layer's weights that may climb: those that matter more to the forgotten "
    "pictures than to what stays.",
    "compare": "Several runs side by side.",
    "audit_verdicts": "Of each audit test the value that decides its verdict. Zero is the "
    "mean of the oracles. Within the grey band an innocent model may lie by chance; the line is "
    "the gap's 95 % range. Without an oracle, zero is the original.",
    "audit_relearning_curves": "How fast each model relearns the forgotten from a few pairs. The "
    "oracle, which never knew them, sets the pace.",
    "audit_readable_layers": "How well a linear probe reads the forgotten concepts off each layer.",
    "audit_language_map": "Top-1 on each forgotten concept, named in each language; a dash where "
    "the original does not know it by that name.",
    "audit_collateral": "The retained concepts that lost most, chosen on validation and measured "
    "on test.",
}
# The tutorial's notebooks use shorter names for some figures.
_CAPTIONS |= {
    "scorecard": _CAPTIONS["scorecard_bars"],
    "ablation": _CAPTIONS["scorecard_bars"],
    "similarity": _CAPTIONS["similarity_distributions"],
    "matrix": _CAPTIONS["similarity_matrix"],
    "tsne": _CAPTIONS["embedding_shift"],
    "pca": "The same shift along the first two principal components, where directions and "
    "lengths have a meaning.",
    "gallery": _CAPTIONS["retrieval_gallery"],
    "loss": _CAPTIONS["loss_terms"],
    "concepts": "Every drawing of this world, by group; the dashed ones are held out.",
    "pictures": "Pictures with their captions.",
    "singles": "Pictures of one concept, with their captions.",
    "scenes": "Scenes of two and three concepts, with their captions.",
    "forget_set": "Pairs of the forget set.",
}


def page_figures(paths: Sequence[Path], beside: Path | None = None) -> list[dict[str, str]]:
    """Return address and caption of each figure; those below `beside` are linked, not embedded."""
    figures = []
    for path in map(Path, paths):
        caption = _CAPTIONS.get(figure_kind(path), figure_kind(path).replace("_", " "))
        if beside is not None and path.is_relative_to(beside):
            number = re.match(r"\d+(?=_)", path.stem)
            source = f" (Notebook {number[0]})" if number else ""
            figures.append({"uri": link(path.absolute(), beside), "caption": caption + source})
            continue
        try:
            data = base64.b64encode(path.read_bytes()).decode()
        except OSError as error:
            raise RunError(f"cannot read {path}: {reason(error)}") from error
        figures.append({"uri": f"data:image/png;base64,{data}", "caption": caption})
    return figures


def figure_kind(path: Path) -> str:
    """Return the kind of a figure: its file name without the notebook's number."""
    return re.sub(r"^\d+_", "", path.stem)


def figure_order(path: Path) -> tuple[int, str]:
    known = list(_CAPTIONS)
    return (known.index(path.stem) if path.stem in known else len(known), path.name)
