"""The words by which envs and trainers steer each other; docs/contract.md says what each one means.

Nothing else does. An env says that it follows the contract by ``metadata[CONTRACT] = VERSION``; without that no word
below is honoured, so that an env of somebody else's whose infos happen to use one is not misread; but for action masks.
"""

CONTRACT, VERSION = "hakisa_contract", 1

# Keys of ``metadata``.
REAL_TIME = "real_time"
FRAME_STACK = "frame_stack"
MASKED_RESET = "masked_reset"
OVERLAPPING_RESETS = "overlapping_resets"
EPISODES_PER_SEED = "episodes_per_seed"
LAUNCHES_PROGRAMS = "launches_programs"
EXCLUSIVE = "exclusive"
ASSISTS = "assists"
MEANING = "meaning"

# Keys of ``info``.
TRANSITION = "transition"
LEARNED = "learned"
COUNTED = "counted"
RESETTING = "resetting"
BEGAN = "began"
OUTCOME = "outcome"
OPPONENT = "opponent"
START = "start"
ACTION_MASK = "action_mask"
PLACE = "place"
PROGRESS = "progress"
MILESTONE = "milestone"
REWARD_PART = "reward_"  # and the name of a part

OUTCOMES = ("win", "loss", "draw")

# Methods and attributes.
PAUSE, RESUME = "pause", "resume"
GET_STATE, SET_STATE = "get_state", "set_state"
GROUPS = "groups"
ACTION_MASKS = "action_masks"
MILESTONE_FOLDER, NEXT_START, CARRY_ON = "milestone_folder", "next_start", "carry_on"

# Method of a value that is an option of an env.
AS_OPTION = "as_option"

METADATA = (
    CONTRACT,
    REAL_TIME,
    FRAME_STACK,
    MASKED_RESET,
    OVERLAPPING_RESETS,
    EPISODES_PER_SEED,
    LAUNCHES_PROGRAMS,
    EXCLUSIVE,
    ASSISTS,
    MEANING,
)
INFOS = (
    TRANSITION,
    LEARNED,
    COUNTED,
    RESETTING,
    BEGAN,
    OUTCOME,
    OPPONENT,
    START,
    ACTION_MASK,
    PLACE,
    PROGRESS,
    MILESTONE,
)
