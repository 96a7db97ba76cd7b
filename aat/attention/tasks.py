"""Which rows and keys of a Problem make a task of attention_forward, and how many tasks are there?"""


def grouped(problem, config):
    """Whether rows of a program are queries of all heads that share a KV head: where that makes fewer programs. A row's
    bits are the same. A score_mod or mask_mod takes one head a program."""
    if problem.mods is not None:
        return False
    rows, group = config.rows_per_program(problem.dtype), problem.group
    return group > 1 and -(-group * problem.Lq // rows) < group * -(-problem.Lq // rows)


def heads(problem, config):
    """Heads of tasks."""
    return problem.Hk if grouped(problem, config) else problem.Hq


def tiles(problem, config):
    """Programs that a head of tasks takes."""
    rows = problem.Lq * (problem.group if grouped(problem, config) else 1)
    return -(-rows // config.rows_per_program(problem.dtype))


def parts(problem, config):
    """Into how many parts a launch cuts the keys."""
    return -(-problem.Lk // config.keys_per_part) if config.keys_per_part else 1


def in_parts(config, problem):
    """`config` with keys_per_part where there are few programs for a problem."""
    rows, keys = config.rows_per_program(problem.dtype), problem.Lk
    programs = problem.B * heads(problem, config) * tiles(problem, config)
    if problem.left is not None and problem.right is not None:  # what a program walks over
        keys = min(keys, problem.left + problem.right + min(rows, problem.Lq))
    return config.in_parts(programs, rows, keys, problem.D + problem.Dv)
