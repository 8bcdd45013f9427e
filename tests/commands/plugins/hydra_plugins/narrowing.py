"""A sweeper plugin as others write and install them."""

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper

TOLD = []


class Narrowing(Sweeper):
    """Tries both ends of an interval, then of its better half, and so on."""

    def __init__(self, rounds):
        self.rounds = rounds

    def setup(self, *, hydra_context, task_function, config):
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments):
        overrides = OverridesParser.create().parse_overrides(arguments)
        (interval,) = (each for each in overrides if each.is_sweep_override())
        others = [each.input_line for each in overrides if each is not interval]
        low, high = int(interval.value().start), int(interval.value().end)
        for number in range(self.rounds):
            batch = [[*others, f"{interval.get_key_element()}={value}"] for value in (low, high)]
            first, last = (each.return_value for each in self.launcher.launch(batch, 2 * number))
            TOLD.append((first, last))
            low, high = (low, (low + high) // 2) if first <= last else ((low + high) // 2, high)


ConfigStore.instance().store(
    group="hydra/sweeper", name="narrowing", node={"_target_": "hydra_plugins.narrowing.Narrowing", "rounds": 2}
)
