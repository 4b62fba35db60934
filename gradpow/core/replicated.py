"""Arrays of which a device needs the whole, whatever the layout of parameters."""

import jax
from jax.sharding import PartitionSpec

__all__ = ["laid_out_as", "replicated", "whole_matrices"]


def replicated(x: jax.Array) -> jax.Array:
    """x whole on each device of the mesh in use; without one, x itself.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import replicated
      >>> replicated(jnp.ones(2))
      Array([1., 1.], dtype=float32)
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return x
    if mesh.are_all_axes_explicit:
        return jax.sharding.reshard(x, PartitionSpec())
    return jax.lax.with_sharding_constraint(x, PartitionSpec())


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


def whole_matrices(x: jax.Array) -> jax.Array:
    """A stack with no matrix parted over devices, where the mesh in use has explicit axes.

    Products of matrices that are parted have no layout of their own there. Batch axes stay parted.

    Examples:
      >>> import jax.numpy as jnp
      >>> from gradpow.core import whole_matrices
      >>> whole_matrices(jnp.ones((1, 2)))
      Array([[1., 1.]], dtype=float32)
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or not mesh.are_all_axes_explicit:
        return x
    batch = jax.typeof(x).sharding.spec[: x.ndim - 2]
    return jax.sharding.reshard(x, PartitionSpec(*batch, None, None))
