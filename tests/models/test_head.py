"""The product with the vocabulary and its gradients, where the words fill their blocks or not."""

import jax
import numpy as np
import pytest

from duomem_jax.models.head import BLOCK, vocab_logits


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("words", [5, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 904])
def test_vocab_logits_equal_numpy_with_gradients(words, axis):
    rng = np.random.default_rng(0)
    x_ZD, table_VD, g_ZV = (
        rng.normal(size=shape).astype(np.float32) for shape in ((7, 16), (words, 16), (7, words))
    )
    kernel = table_VD.T if axis else table_VD
    logits, vjp = jax.vjp(lambda x, w: vocab_logits(x, w, axis), x_ZD, kernel)
    dx, dkernel = vjp(g_ZV)
    np.testing.assert_allclose(logits, x_ZD @ table_VD.T, atol=1e-4)
    np.testing.assert_allclose(dx, g_ZV @ table_VD, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(dkernel.T if axis else dkernel, g_ZV.T @ x_ZD, atol=1e-4)
