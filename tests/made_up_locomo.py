"""A file as LoCoMo's, whose text is made up, with each defect that the real one has."""


def turn(speaker, id, text, **more):
    return {"speaker": speaker, "dia_id": id, "text": text, **more}


CONVERSATION = {
    "sample_id": "conv-42",
    "conversation": {
        "speaker_a": "Ann",
        "speaker_b": "Ben",
        # Sessions as text sort 10 before 2; the third was never written.
        "session_10_date_time": "12:05 am on 1 June, 2023",
        "session_10": [turn("Ann", "D10:5", "I moved to Oslo.")],
        "session_2_date_time": "1:56 pm on 8 May, 2023",
        "session_2": [
            turn("Ann", "D2:1", "Look!", blip_caption="a red bicycle", img_url=["x"], query="q"),
            turn("Ben", "D2:2", "Nice. I sold mine."),
        ],
        "session_3_date_time": "1:00 pm on 9 May, 2023",
        "session_4": [],
    },
    "qa": [
        {"question": "Where?", "answer": "Oslo", "evidence": ["D:10:05"], "category": 4},
        {"question": "When?", "answer": 2023, "evidence": ["D2:1; D2:2"], "category": 2},
        {"question": "Why?", "answer": "fun", "evidence": ["D", "D9:9", "D2:1"], "category": 3},
        {"question": "Both?", "answer": "yes", "evidence": ["D2:1", "D2:1"], "category": 1},
        {"question": "Ben's?", "evidence": [], "category": 5, "adversarial_answer": "Oslo"},
        {"question": "So?", "answer": "No", "adversarial_answer": "Yes", "evidence": ["D2:1"],
         "category": 5},
    ],
    "observation": {
        "session_2_observation": {
            "Ben": [["Ben sold his bicycle.", ["D2:2"]]],
            "Ann": [["Ann has a bicycle.", "D2:1, D2:2"]],
        },
        "session_10_observation": {"Ann": [["Ann lives in Oslo.", "D10:5"]]},
    },
    "event_summary": {},
    "session_summary": {},
}  # fmt: skip
ERRORS = [
    {"question_id": f"locomo_3_qa{k}", "question": question, "golden_answer": "x",
     "error_type": kind, "correct_answer": key}
    for k, question, kind, key in [
        (0, "Where?", "HALLUCINATION", "Bergen"),
        (1, "When?", "WRONG_CITATION", "2023 (see D2:2)"),
        (2, "Another question", "AMBIGUOUS", "never"),
        (77, "Where?", "INCOMPLETE", "never"),
    ]
]  # fmt: skip
