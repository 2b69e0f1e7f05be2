"""The lecture's networks on the way to their projections."""

from lmc_core.lecture.positions import positions


def test_projection_is_harmless_only_when_trained_for():
    free, led = positions("free", 3), positions("led", 3)
    assert free.trained == 1 and led.trained < 0.01
    assert (
        free.accuracy[0] - free.accuracy[-1] > 0.3
        and abs(led.accuracy[0] - led.accuracy[-1]) < 0.02
    )
    assert led.loss[-1] - led.loss[0] < 0.02 < free.loss[-1] - free.loss[0]
    for found in (free, led):
        # the projection says the same of all positions
        assert (found.answers[-1] == found.answers[-1][:, :1]).all()
        assert found.images.shape == (3, 4, 8, 8) and found.labels.tolist() == [4, 7, 2]
