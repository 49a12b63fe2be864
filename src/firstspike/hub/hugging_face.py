"""Networks on the Hugging Face hub, or a server like it: the extra ``hub``.

    Pretrained(network).save_pretrained("folder")
    Pretrained(network).push_to_hub("name/network")
    network = Pretrained.from_pretrained("name/network").network

A repository holds one file of `firstspike.save`; whatever the hub may hold is checked as that says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from firstspike.extras import require

require("hub", "huggingface_hub", purpose="firstspike.hub.hugging_face")

from huggingface_hub import ModelHubMixin, hf_hub_download  # noqa: E402

from firstspike.hub import network_file  # noqa: E402

FILE = f"network{network_file.SUFFIX}"


class Pretrained(
    ModelHubMixin,
    library_name="firstspike",
    tags=["spiking-neural-network", "time-to-first-spike"],
    license="apache-2.0",
):
    """A network that can be pushed to, and taken from, a hub; a holder with nothing else in it.

    ``from_pretrained``, ``save_pretrained`` and ``push_to_hub`` are those of
    `huggingface_hub.ModelHubMixin`.

    Args:
        network: any that `firstspike.save` takes.
    """

    def __init__(self, network: Any) -> None:
        self.network = network

    def _save_pretrained(self, save_directory: Path) -> None:
        network_file.save(self.network, save_directory / FILE)

    @classmethod
    def _from_pretrained(
        cls, *, model_id: str, revision: str | None = None, **options: Any
    ) -> Pretrained:
        """The network of a folder or of a repository on the hub.

        Raises:
            ValueError: the file is no network.
        """
        file = Path(model_id) / FILE
        if not Path(model_id).is_dir():
            known = ("cache_dir", "force_download", "local_files_only", "token")
            kept = {name: options[name] for name in known if name in options}
            file = Path(hf_hub_download(model_id, FILE, revision=revision, **kept))
        return cls(network_file.load(file))
