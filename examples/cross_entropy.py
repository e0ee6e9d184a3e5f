"""An algorithm of your own: the cross-entropy method (Rubinstein, 1999), plugged in through the registry.

pip install "hakisa[algos]"
python examples/cross_entropy.py                                 as an Agent
python examples/cross_entropy.py train cem --env CartPole-v1     on the command line, with all that it offers

A package registers it for every `hakisa` command with an entry point in its pyproject.toml:
    [project.entry-points."hakisa.algorithms"]
    cem = "my_package.cross_entropy:CrossEntropy"
"""

import sys
from dataclasses import dataclass

import torch

from hakisa_algos import Agent, register
from hakisa_algos.cli.main import main
from hakisa_algos.data.needs import Rows
from hakisa_algos.learners.learner import Facts
from hakisa_algos.policy.observations import ObservationLayout
from hakisa_algos.policy.policy import Decision


@dataclass(frozen=True)
class CrossEntropyConfig:
    """Hyperparameters of the cross-entropy method."""

    total_steps: int = 100_000
    """Env steps of the whole run."""
    num_envs: int = 16
    """Individuals that play side by side."""
    rows: int = 200
    """Steps that each individual gets. Longer measures better, and updates less often."""
    elite: float = 0.25
    """Share of the individuals that the next generation is drawn around."""
    deviation: float = 1.0
    """Of the first generation's weights. Larger looks further."""


class LinearPolicies:
    """As many linear policies as there are columns, one seated in each; without exploration, all play the mean."""

    def __init__(self, observation_space, action_space, deviation):
        self.observation = ObservationLayout(observation_space)
        self.version = 0
        self.mean = torch.zeros(action_space.n, observation_space.shape[0])
        self.deviation = torch.full_like(self.mean, deviation)
        self.seated = self.mean[None]

    def act(self, observation, state, explore, generator):
        weights = self.seated[state["individual"]] if explore else self.mean
        return Decision((weights @ observation[:, :, None]).squeeze(-1).argmax(-1), state=state)

    def initial_state(self, n):
        return {"individual": torch.arange(n) % len(self.seated)}

    def begin(self, mask, state):
        return state


class CrossEntropy:
    """Seats a generation, measures its reward per episode, and moves towards the best of it."""

    config_class = CrossEntropyConfig

    def __init__(self, observation_space, action_space, config, *, num_envs, seed, device, network):
        self.config = config
        self.policy = LinearPolicies(observation_space, action_space, config.deviation)
        self.generator = torch.Generator().manual_seed(seed)
        self.num_envs = num_envs
        self._seat()

    @classmethod
    def default_config(cls, observation_space, preset=None):
        return CrossEntropyConfig()

    def facts(self):
        rows = self.config.rows
        return Facts(Rows(rows), self.config.total_steps, capacity=rows, keep_observations=False)

    def update(self, buffer):
        rollout = buffer.rollout(self.config.rows)
        ends = (rollout.column("terminated") | rollout.column("truncated")).sum(0)
        score = rollout.column("reward").sum(0) / (ends + 1)
        best = score.topk(max(2, int(self.config.elite * self.num_envs))).indices
        elite = self.policy.seated[best]
        self.policy.mean, self.policy.deviation = elite.mean(0), elite.std(0) + 0.1
        self.policy.version += 1
        self._seat()
        return {"train/elite_score": score[best].mean().item(), "train/deviation": self.policy.deviation.mean().item()}

    def state(self):
        held = {"mean": self.policy.mean, "deviation": self.policy.deviation, "seated": self.policy.seated}
        return {**held, "version": self.policy.version, "generator": self.generator.get_state()}

    def load_state(self, state):
        for name in ("mean", "deviation", "seated", "version"):
            setattr(self.policy, name, state[name])
        self.generator.set_state(state["generator"])

    def _seat(self):
        noise = torch.randn(self.num_envs, *self.policy.mean.shape, generator=self.generator)
        self.policy.seated = self.policy.mean + self.policy.deviation * noise


register("cem", CrossEntropy)

if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("--steps"):
        sys.exit(main())
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    agent = Agent("CartPole-v1", CrossEntropyConfig(total_steps=steps), algorithm="cem", seed=1).learn()
    print("cross-entropy method on CartPole:", agent.evaluate(episodes=20))
