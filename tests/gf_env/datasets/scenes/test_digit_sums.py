import numpy as np
import pytest
from scipy.stats import chi2_contingency

from gf_env.datasets.scenes.digit_sums import LEVELS


@pytest.mark.parametrize("kind", LEVELS, ids=lambda kind: kind.name)
def test_all_digits_but_one_say_nothing_of_the_label(kind):
    labels, _, digits = kind.truth("train", np.arange(50_000))
    for left_out in range(kind.num_digits):
        seen = np.delete(digits, left_out, axis=1) @ 10 ** np.arange(kind.num_digits - 1)
        table = np.zeros((10 ** (kind.num_digits - 1), 10))
        np.add.at(table, (seen, labels), 1)
        assert chi2_contingency(table).pvalue > 0.01
    # the same test, of what does tell
    assert chi2_contingency(np.histogram2d(labels, digits.sum(axis=1))[0] + 1).pvalue < 1e-9
