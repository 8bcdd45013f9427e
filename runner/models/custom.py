"""`model=custom`: a function of the user's own that builds the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from runner.batch import ArraySpec
from runner.component import Arguments, DottedName
from runner.errors import ConfigurationError
from runner.models.base import ModelSettings, Scaling, Task
from runner.user_code import call, kind_of, load

if TYPE_CHECKING:
    import keras


class Custom(ModelSettings):
    """A function of yours that returns a `keras.Model`; what it asks for by name it is given."""

    kind: Literal["custom"] = "custom"

    target: DottedName
    """The function, my_module.build_model; it may take input_shape, num_classes, units, activation and outputs."""

    arguments: Arguments = Field(default={})
    """Further arguments of the function; they go before what the data says."""

    def names(self) -> Iterator[tuple[str, str]]:
        """The key that names code of the user's, and that name."""
        yield "target", self.target

    def automatic_scaling(self, spec: ArraySpec) -> Scaling:
        """None: the function is given samples as they are, and its model scales them if it wants to."""
        return "none"

    def import_code(self) -> None:
        """Import the function's module: layers it registers are needed to load a saved model."""
        load(self.target)

    def build(self, task: Task) -> keras.Model:
        """What the function returns, under the scaling that `data.scale` names; compiled if the function did so.

        Raises `ConfigurationError` where the function cannot be called, returns no model, or one that does not fit.
        """
        import keras

        from runner.models.compile import refuse_unfit
        from runner.models.layers import scaled_input

        model = call(self.target, "model", self.arguments, _offered(task))
        if not isinstance(model, keras.Model):
            raise ConfigurationError(f"model.target={self.target} must return a keras.Model, got {kind_of(model)}")
        refuse_unfit(model, task, called=f"model.target={self.target}")
        if task.scaling == "none":
            return model
        if model.compiled:
            raise ConfigurationError(
                f"data.scale must be auto or none for a model that {self.target} compiles, got {task.scaling}; "
                "scale in the function, or leave compiling to the runner"
            )
        inputs, x = scaled_input(task.spec, task.scaling)
        return keras.Model(inputs, model(x))


def _offered(task: Task) -> dict[str, Any]:
    """What the data says of the model, by the names under which a function may ask for it."""
    offered: dict[str, Any] = {"input_shape": task.spec.shape, "outputs": task.outputs}
    if len(task.outputs) == 1:
        output = task.outputs[0]
        offered |= {"num_classes": output.num_classes, "units": output.units, "activation": output.activation}
    return offered
