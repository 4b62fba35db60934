"""Arrays of which every device needs the whole, whatever the layout of parameters."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

__all__ = ["gathered", "laid_out_as", "replicated", "square_zeros", "whole"]


def replicated(x: jax.Array, axes: int | None = None) -> jax.Array:
    """x whole on each device of the mesh in use; without one, x itself.

    Args:
      x: the array.
      axes: how many axes at its end are to be whole, while the others stay as they are; by default
        all are.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import replicated
      >>> replicated(jnp.ones(2))
      Array([1., 1.], dtype=float32)
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.manual_axes:  # within a shard_map x is a device's own
        return x
    batch = 0 if axes is None else x.ndim - axes
    if mesh.are_all_axes_explicit:
        return jax.sharding.reshard(x, PartitionSpec(*jax.typeof(x).sharding.spec[:batch]))
    as_they_are = batch * (PartitionSpec.UNCONSTRAINED,)
    whole = (x.ndim - batch) * (None,)
    return jax.lax.with_sharding_constraint(x, PartitionSpec(*as_they_are, *whole))


def gathered(stack: jax.Array) -> jax.Array:
    """Matrices whole on each device that has one, where the mesh in use has explicit axes.

    Their types refuse products over a divided axis. With automatic axes the compiler finds a way by
    itself; a constraint would replicate what the matrices are made of too, such as a momentum.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import gathered
      >>> gathered(jnp.ones((1, 2))).shape
      (1, 2)
    """
    mesh = jax.sharding.get_abstract_mesh()
    return replicated(stack, 2) if not mesh.empty and mesh.are_all_axes_explicit else stack


def laid_out_as(like: jax.Array, x: jax.Array) -> jax.Array:
    """x in the layout of another array, where the mesh in use has explicit axes.

    With automatic axes the compiler finds a layout by itself.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import laid_out_as
      >>> laid_out_as(jnp.ones(2), jnp.zeros(2))
      Array([0., 0.], dtype=float32)
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or not mesh.are_all_axes_explicit:
        return x
    return jax.sharding.reshard(x, jax.typeof(like).sharding)


def square_zeros(stack: Any, size: int) -> jax.Array:
    """Zeros (..., size, size) for each matrix of a stack, whole on the devices that have it.

    Args:
      stack: (..., m, n), or its shape and type.
      size: of the zeros.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import square_zeros
      >>> square_zeros(jnp.ones((2, 3, 4)), 3).shape
      (2, 3, 3)
    """
    *batch, _, _ = stack.shape
    zeros = jnp.zeros((*batch, size, size), stack.dtype)
    mesh, layout = jax.sharding.get_abstract_mesh(), stack.sharding
    if mesh.empty or not mesh.are_all_axes_explicit or not isinstance(layout, NamedSharding):
        return zeros
    return jax.sharding.reshard(zeros, PartitionSpec(*layout.spec[: len(batch)]))


def whole(x: jax.Array) -> jax.Array:
    """x whole on each device where the mesh in use has explicit axes, which products would refuse.

    With automatic axes, and inside of a shard_map, x itself.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import whole
      >>> whole(jnp.ones(2))
      Array([1., 1.], dtype=float32)
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or not mesh.are_all_axes_explicit:
        return x
    return jax.sharding.reshard(x, PartitionSpec())
