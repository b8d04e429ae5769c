"""genlab's sweepers, where Hydra looks for plugins: it builds none of another package."""

from genlab.runs.sweeps import blind, cma, grid, tpe


class Grid(grid.Grid):
    """hydra/sweeper=grid"""


class TPE(tpe.TPE):
    """hydra/sweeper=tpe"""


class CMA(cma.CMA):
    """hydra/sweeper=cma"""


class Random(blind.Random):
    """hydra/sweeper=random"""


class Sobol(blind.Sobol):
    """hydra/sweeper=sobol"""


try:
    from genlab.runs.sweeps import slurm
except ImportError:  # without the extra genlab[sweep] there is no submitit
    pass
else:

    class Slurm(slurm.Slurm):
        """hydra/launcher=slurm"""
