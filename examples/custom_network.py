"""A network of your own: any module that says how wide its output is.

pip install "hakisa[algos]"
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor, nn

from hakisa_algos import PPO, PPOConfig


class ResidualMLP(nn.Module):
    """Observations -> features, with a shortcut round the second layer."""

    def __init__(self, space):
        super().__init__()
        self.features = 64  # the policy and the value are read off so many numbers
        self.first = nn.Linear(space.shape[0], self.features)
        self.second = nn.Linear(self.features, self.features)

    def forward(self, observation: Tensor) -> Tensor:
        hidden = self.first(observation).relu()
        return hidden + self.second(hidden).relu()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=50_000)
steps = parser.parse_args().steps

agent = PPO("CartPole-v1", PPOConfig(total_steps=steps), network=ResidualMLP, seed=1).learn()
print("PPO with a network of its own:", agent.evaluate(episodes=20))
with TemporaryDirectory() as folder:
    path = agent.save(Path(folder))
    again = PPO.load(path, network=ResidualMLP)  # files hold weights, never code
    print("saved, loaded and evaluated again:", again.evaluate(episodes=20))
