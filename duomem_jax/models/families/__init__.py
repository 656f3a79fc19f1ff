"""Registry of model families: one file and one line here each."""

from duomem_jax.models.families.base import Family
from duomem_jax.models.families.gemma2 import GEMMA2
from duomem_jax.models.families.gemma3 import GEMMA3
from duomem_jax.models.families.idefics3 import IDEFICS3, SMOLVLM
from duomem_jax.models.families.internvl import INTERNVL
from duomem_jax.models.families.llama import LLAMA
from duomem_jax.models.families.qwen2 import QWEN2
from duomem_jax.models.families.qwen3 import QWEN3
from duomem_jax.models.families.seeing import Seeing

FAMILIES: dict[str, Family] = {
    family.model_type: family for family in (QWEN2, QWEN3, GEMMA2, GEMMA3, LLAMA)
}
# Models that see; their decoder is of one of the families above.
SEEING: dict[str, Seeing] = {seeing.model_type: seeing for seeing in (SMOLVLM, IDEFICS3, INTERNVL)}
