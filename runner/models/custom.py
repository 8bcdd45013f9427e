"""`model=custom`: a function of the user's own that builds the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from runner.component import Arguments, DottedName
from runner.errors import ConfigurationError
from runner.fields import Layout, SampleSpec
from runner.models.base import ModelSettings, Scaling, Task
from runner.user_code import call, import_code, kind_of, module_of

if TYPE_CHECKING:
    import keras


class Custom(ModelSettings):
    """A function of yours that returns a `keras.Model`; it gets the arguments that it names."""

    predicts_masks = None

    kind: Literal["custom"] = "custom"

    target: DottedName
    """The function, my_module.build_model; it may take input_shape, num_classes, units, activation and outputs.
    For samples of several arrays input_shape is a dict by name, and the model takes a dict with these names."""

    arguments: Arguments = Field(default={})
    """Further arguments of the function; they override those that follow from the data."""

    def names(self) -> Iterator[tuple[str, str]]:
        """The key that names the user's own code, and that name."""
        yield "target", self.target

    def automatic_scaling(self, spec: SampleSpec) -> Scaling:
        """`none`: the model gets unscaled samples, and may scale them itself."""
        return "none"

    def import_code(self) -> None:
        """Import the function's module: a saved model may need layers that it registers."""
        import_code([self.target])

    def refuse_unsavable(self, model: keras.Model) -> None:
        """Try to save and load the model."""
        from runner.models.savable import refuse_unsavable

        refuse_unsavable(model, f"model.target={self.target}", module_of(self.target))

    def build(self, task: Task) -> keras.Model:
        """The function's model, with the scaling of `data.scale` before it; compiled if the function compiles it.

        Raises `ConfigurationError` if the function cannot be called, or returns no model that fits the task.
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
    """The arguments that follow from the data, by name."""
    offered: dict[str, Any] = {"input_shape": _shape(task.spec), "outputs": task.outputs}
    if len(task.outputs) == 1:
        output = task.outputs[0]
        units = output.num_classes if output.is_mask else output.units
        offered |= {"num_classes": output.num_classes, "units": units, "activation": output.activation}
    return offered


def _shape(spec: SampleSpec) -> Any:
    return {name: one.shape for name, one in spec.specs} if isinstance(spec, Layout) else spec.shape
