"""A tiny room of our own that exercises every rule, and games made from it."""

import pytest

from duomem_jax.worlds.household.game import Game

# Two receptacles share a location, one object lies in two receptacles, another stands on the floor,
# a box holds a pen, a lamp can be carried, a second one is shut in a drawer, one mug starts cool.
_OBJECTS = """
  agent1 - agent
  start pantry counter stove sofa1 - location
  MugType BreadType KnifeType LampType BoxType PenType StatueType - otype
  DrawerType FridgeType MicrowaveType SinkBasinType CounterTopType SofaType - rtype
  Drawer_bar__plus_1 Drawer_bar__minus_1 Fridge_bar_1 Microwave_bar_1 - receptacle
  Sink_bar_1_bar_SinkBasin CounterTop_bar_1 Sofa_bar_1 - receptacle
  Mug_bar_1 Mug_bar_2 Bread_bar_1 Knife_bar_1 DeskLamp_bar_1 DeskLamp_bar_2 - object
  Box_bar_1 Pen_bar_1 Statue_bar_1 Sink_bar_1 - object
"""

_INIT = """
  (atLocation agent1 start)
  (receptacleAtLocation Drawer_bar__plus_1 pantry) (receptacleAtLocation Fridge_bar_1 pantry)
  (receptacleAtLocation Drawer_bar__minus_1 sofa1) (receptacleAtLocation Sofa_bar_1 sofa1)
  (receptacleAtLocation Microwave_bar_1 stove)
  (receptacleAtLocation Sink_bar_1_bar_SinkBasin counter)
  (receptacleAtLocation CounterTop_bar_1 counter)
  (receptacleType Drawer_bar__plus_1 DrawerType) (receptacleType Drawer_bar__minus_1 DrawerType)
  (receptacleType Fridge_bar_1 FridgeType) (receptacleType Microwave_bar_1 MicrowaveType)
  (receptacleType Sink_bar_1_bar_SinkBasin SinkBasinType)
  (receptacleType CounterTop_bar_1 CounterTopType) (receptacleType Sofa_bar_1 SofaType)
  (openable Drawer_bar__plus_1) (openable Drawer_bar__minus_1) (openable Fridge_bar_1)
  (openable Microwave_bar_1) (opened Drawer_bar__minus_1)
  (objectType Mug_bar_1 MugType) (objectType Mug_bar_2 MugType) (objectType Bread_bar_1 BreadType)
  (objectType Knife_bar_1 KnifeType) (objectType DeskLamp_bar_1 LampType)
  (objectType DeskLamp_bar_2 LampType) (objectType Box_bar_1 BoxType) (objectType Pen_bar_1 PenType)
  (objectType Statue_bar_1 StatueType)
  (pickupable Mug_bar_1) (pickupable Mug_bar_2) (pickupable Bread_bar_1) (pickupable Knife_bar_1)
  (pickupable DeskLamp_bar_1) (pickupable Box_bar_1) (pickupable Pen_bar_1)
  (cleanable Mug_bar_1) (cleanable Mug_bar_2) (cleanable Bread_bar_1) (cleanable Knife_bar_1)
  (heatable Mug_bar_1) (heatable Mug_bar_2) (heatable Bread_bar_1)
  (coolable Mug_bar_1) (coolable Mug_bar_2) (coolable Bread_bar_1)
  (sliceable Bread_bar_1) (toggleable DeskLamp_bar_1) (toggleable DeskLamp_bar_2)
  (isReceptacleObject Box_bar_1) (inReceptacleObject Pen_bar_1 Box_bar_1)
  (isCool Mug_bar_2)
  (inReceptacle Mug_bar_1 CounterTop_bar_1) (inReceptacle Mug_bar_2 Fridge_bar_1)
  (inReceptacle Bread_bar_1 CounterTop_bar_1) (inReceptacle Knife_bar_1 Drawer_bar__minus_1)
  (inReceptacle DeskLamp_bar_1 Sofa_bar_1) (inReceptacle DeskLamp_bar_2 Drawer_bar__plus_1)
  (inReceptacle Box_bar_1 Sofa_bar_1)
  (inReceptacle Pen_bar_1 Sofa_bar_1) (inReceptacle Pen_bar_1 Drawer_bar__minus_1)
  (objectAtLocation Mug_bar_1 counter) (objectAtLocation Mug_bar_2 pantry)
  (objectAtLocation Bread_bar_1 counter) (objectAtLocation Knife_bar_1 sofa1)
  (objectAtLocation DeskLamp_bar_1 sofa1) (objectAtLocation DeskLamp_bar_2 pantry)
  (objectAtLocation Box_bar_1 sofa1) (objectAtLocation Pen_bar_1 sofa1)
  (objectAtLocation Statue_bar_1 sofa1) (objectAtLocation Sink_bar_1 counter)
  (canContain DrawerType KnifeType) (canContain DrawerType PenType) (canContain DrawerType MugType)
  (canContain FridgeType MugType) (canContain FridgeType BreadType)
  (canContain MicrowaveType MugType) (canContain MicrowaveType BreadType)
  (canContain SinkBasinType MugType) (canContain SinkBasinType KnifeType)
  (canContain CounterTopType MugType) (canContain CounterTopType BreadType)
  (canContain CounterTopType KnifeType) (canContain CounterTopType LampType)
  (canContain SofaType BoxType) (canContain SofaType PenType) (canContain SofaType LampType)
"""

CLEAN_MUG_IN_FRIDGE = """(exists (?r - receptacle) (exists (?o - object) (and
    (cleanable ?o) (objectType ?o MugType) (receptacleType ?r FridgeType) (isClean ?o)
    (inReceptacle ?o ?r))))"""

WALKTHROUGH = (
    "go to countertop 1",
    "take mug 2 from countertop 1",
    "clean mug 2 with sinkbasin 1",
    "go to fridge 1",
    "open fridge 1",
    "move mug 2 to fridge 1",
)


@pytest.fixture
def make_room():
    """A function from a goal condition to a game in the tiny room."""

    def make(goal: str = CLEAN_MUG_IN_FRIDGE, walkthrough=WALKTHROUGH, init: str = _INIT) -> Game:
        problem = (
            f"(define (problem room)\n(:domain alfred)\n(:objects {_OBJECTS})\n"
            f"(:init {init})\n(:goal {goal})\n)"
        )
        return Game(
            id="room/pick_clean_then_place_in_recep-Mug-None-Fridge-1/trial_1",
            text="put a clean mug in fridge.",
            kind="pick_clean_then_place_in_recep",
            pddl_problem=problem,
            walkthrough=tuple(walkthrough),
        )

    return make
