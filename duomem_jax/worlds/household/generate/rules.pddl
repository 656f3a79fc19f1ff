;; The household world of ALFWorld's text games, written anew for generated games: the same
;; predicates, deeds and consequences. Where a goal or a problem names a predicate, its name is
;; ALFWorld's; `seen` only gives every deed that changes nothing an effect to have.
(define (domain alfred)
 (:requirements :adl :typing)
 (:types agent location receptacle object rtype otype)
 (:predicates
  (atLocation ?a - agent ?l - location)
  (receptacleAtLocation ?r - receptacle ?l - location)
  (objectAtLocation ?o - object ?l - location)
  (receptacleType ?r - receptacle ?t - rtype)
  (objectType ?o - object ?t - otype)
  (canContain ?rt - rtype ?ot - otype)
  (inReceptacle ?o - object ?r - receptacle)
  (holds ?a - agent ?o - object)
  (handsFull ?a - agent)
  (openable ?r - receptacle) (opened ?r - receptacle)
  (isReceptacleObject ?o - object) (inReceptacleObject ?in - object ?out - object)
  (pickupable ?o - object)
  (cleanable ?o - object) (isClean ?o - object)
  (heatable ?o - object) (isHot ?o - object)
  (coolable ?o - object) (isCool ?o - object)
  (sliceable ?o - object) (isSliced ?o - object)
  (toggleable ?o - object) (isToggled ?o - object)
  (seen ?x - object)
 )

 (:action look
  :parameters (?a - agent ?l - location)
  :precondition (atLocation ?a ?l)
  :effect (seen ?l))
 (:action inventory
  :parameters (?a - agent)
  :precondition ()
  :effect (seen ?a))
 (:action help
  :parameters (?a - agent)
  :precondition ()
  :effect (seen ?a))
 (:action examineReceptacle
  :parameters (?a - agent ?l - location ?r - receptacle)
  :precondition (and (atLocation ?a ?l) (receptacleAtLocation ?r ?l))
  :effect (seen ?r))
 (:action examineObject
  :parameters (?a - agent ?o - object)
  :precondition (holds ?a ?o)
  :effect (seen ?o))

 (:action GotoLocation
  :parameters (?a - agent ?from - location ?to - location ?r - receptacle)
  :precondition (and (atLocation ?a ?from) (receptacleAtLocation ?r ?to) (not (= ?from ?to)))
  :effect (and (not (atLocation ?a ?from)) (atLocation ?a ?to)))
 (:action OpenObject
  :parameters (?a - agent ?l - location ?r - receptacle)
  :precondition (and (atLocation ?a ?l) (receptacleAtLocation ?r ?l)
                     (openable ?r) (not (opened ?r)))
  :effect (opened ?r))
 (:action CloseObject
  :parameters (?a - agent ?l - location ?r - receptacle)
  :precondition (and (atLocation ?a ?l) (receptacleAtLocation ?r ?l) (openable ?r) (opened ?r))
  :effect (not (opened ?r)))
 (:action PickupObject
  :parameters (?a - agent ?l - location ?o - object ?r - receptacle)
  :precondition (and (atLocation ?a ?l) (receptacleAtLocation ?r ?l) (inReceptacle ?o ?r)
                     (pickupable ?o) (not (handsFull ?a)) (or (not (openable ?r)) (opened ?r)))
  :effect (and (holds ?a ?o) (handsFull ?a)
               (not (inReceptacle ?o ?r)) (not (objectAtLocation ?o ?l))))
 (:action PutObject
  :parameters (?a - agent ?l - location ?o - object ?r - receptacle ?ot - otype ?rt - rtype)
  :precondition (and (atLocation ?a ?l) (receptacleAtLocation ?r ?l) (holds ?a ?o)
                     (objectType ?o ?ot) (receptacleType ?r ?rt) (canContain ?rt ?ot)
                     (or (not (openable ?r)) (opened ?r)))
  :effect (and (not (holds ?a ?o)) (not (handsFull ?a))
               (inReceptacle ?o ?r) (objectAtLocation ?o ?l)))

 (:action CleanObject
  :parameters (?a - agent ?l - location ?r - receptacle ?o - object)
  :precondition (and (atLocation ?a ?l) (receptacleAtLocation ?r ?l) (holds ?a ?o)
                     (cleanable ?o) (receptacleType ?r SinkBasinType))
  :effect (isClean ?o))
 (:action HeatObject
  :parameters (?a - agent ?l - location ?r - receptacle ?o - object)
  :precondition (and (atLocation ?a ?l) (receptacleAtLocation ?r ?l) (holds ?a ?o)
                     (heatable ?o) (receptacleType ?r MicrowaveType))
  :effect (and (isHot ?o) (not (isCool ?o))))
 (:action CoolObject
  :parameters (?a - agent ?l - location ?r - receptacle ?o - object)
  :precondition (and (atLocation ?a ?l) (receptacleAtLocation ?r ?l) (holds ?a ?o)
                     (coolable ?o) (receptacleType ?r FridgeType))
  :effect (and (isCool ?o) (not (isHot ?o))))
 (:action ToggleObject
  :parameters (?a - agent ?l - location ?o - object ?r - receptacle)
  :precondition (and (atLocation ?a ?l) (receptacleAtLocation ?r ?l) (inReceptacle ?o ?r)
                     (toggleable ?o))
  :effect (isToggled ?o))
 (:action SliceObject
  :parameters (?a - agent ?l - location ?o - object ?knife - object)
  :precondition (and (atLocation ?a ?l) (objectAtLocation ?o ?l) (sliceable ?o)
                     (holds ?a ?knife)
                     (or (objectType ?knife KnifeType) (objectType ?knife ButterKnifeType)))
  :effect (isSliced ?o))
)
