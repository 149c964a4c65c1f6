import pytest

import agents
import gf_env
from gf_env import make_task


def scenes(name, size=6):
    return gf_env.load_dataset(name, "validation", size=size)


def test_a_built_in_task_brings_its_network_and_length():
    task = make_task(dataset="digit-sums", level="easy", split="validation")
    assert (task.dataset.name, task.rules.sequence_length) == ("digit-sums-easy", 3)
    assert make_task(dataset="digit-sums-easy", split="validation").rules == task.rules
    made = make_task(dataset=scenes("digit-sums-easy"))
    assert made.rules == task.rules
    assert made.network is task.network
    harder = make_task(dataset="digit-sums", level="hard", split="validation", grid_size=True)
    assert harder.network is task.network
    assert harder.rules.sequence_length == 5
    assert harder.actions.grid_size == 7


def test_what_is_given_wins():
    network = gf_env.load_network("hidden-digits").with_image_size(144)
    arguments = {"dataset": "hidden-digits", "level": "hard", "split": "validation"}
    task = make_task(**arguments, network=network, sequence_length=4, grid_size=5)
    assert task.network is network
    assert task.rules.sequence_length == 4
    assert task.actions.grid_size == 5
    assert make_task(**arguments, network=network).rules.sequence_length == 13  # the task's


def test_what_is_no_built_in_task_has_the_networks_length(tiny):
    tiny["dataset"].name = "signposts"  # even if it is called like one
    task = make_task(**tiny, grid_size=True)
    assert task.rules.sequence_length == tiny["network"].config.sequence_length == 5
    assert task.actions.grid_size == 7


def test_evaluation_at_a_level():
    arguments = {"dataset": "hidden-digits", "level": "easy", "num_images": 5}
    done = gf_env.evaluate(agents.CentrePolicy(), **arguments)
    assert done.confidence.shape == (5, 7)
    assert (
        done.labels.tolist()
        == scenes("hidden-digits-easy").kind.truth("test", range(5))[0].tolist()
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dataset": "signpost", "level": "easy"}, "'signpost' has no level 'easy'.*'signposts'"),
        ({"dataset": "signpost"}, "unknown dataset 'signpost'.*'signposts-hard'"),
        ({"level": "medium"}, "unknown level 'medium' of cluttered-digits.*'hard'"),
        ({"dataset": scenes, "level": "easy"}, "'easy' is of a built-in task.*'signposts', made"),
        ({"network": "signposts"}, "data set cluttered-digits: channels 3 against 1, mean"),
        (
            {"dataset": "hidden-digits-hard", "network": "hidden-digits"},
            "image_size 96 against 144",
        ),
        ({"network": "digit-sums"}, r"digits: mean \(0.085,\) against \(0.087,\), std \(0.112"),
        ({"dataset": "digit-sums", "network": "cluttered-digits"}, "data set digit-sums: mean"),
    ],
)
def test_what_does_not_fit(arguments, message):
    if arguments.get("dataset") is scenes:
        arguments = {**arguments, "dataset": scenes("signposts")}
    with pytest.raises(ValueError, match=message):
        make_task(**arguments, split="validation")
