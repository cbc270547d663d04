"""What training recorded comes with the version its run logged."""

from governance.registry import resolve
from governance.registry.opening import open_subject
from governance.training import record_epoch


def test_the_history_of_the_training_run_comes_with_the_subject(
    mlflow_store, log_model, policy, tiny_subject, tmp_path
):
    # arrange
    run_id = log_model().run_id
    validation = tiny_subject.validation
    inputs = tiny_subject.network.inputs(tiny_subject.pixels(range(60)))
    recorded = [
        record_epoch(
            tiny_subject.network.model, (inputs, validation.labels[:60]), step,
            class_names=validation.class_names, run_id=run_id,
        )
        for step in (0, 1)
    ]  # fmt: skip

    # act
    subject = open_subject(resolve("models:/stripes/1"), policy, workspace=tmp_path / "work")

    # assert
    assert subject.identity.run_id == run_id
    assert set(subject.history) == set(recorded[0])
    for name, points in subject.history.items():
        assert points == tuple((step, signs[name]) for step, signs in enumerate(recorded))
