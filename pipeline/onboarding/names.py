"""What a column's name says of it, where its values leave it open."""

from __future__ import annotations

import re

CODE = re.compile(
    r"(?:^|[^a-z])(?:zip|zipcode|postcode|plz|code|area|region|tract|district|store|type|category|class|cluster|group)$",
    re.IGNORECASE,
)
"""Numbers that name things."""
IDENTIFIER = re.compile(
    # `userId` is one, `paid` is none.
    r"(?i:(?:^|[^a-z])(?:id|ids|uuid|guid|key|no|nr|number|index|row|rownum|customerid|passengerid)$)|(?<=[a-z])I[dD]$"
)
CYCLES = (
    (re.compile(r"(?:^|[^a-z])hour$|hour_of_day", re.IGNORECASE), 0, 23, 24, "hours of the day"),
    (re.compile(r"(?:^|[^a-z])(?:weekday|dow|day_?of_?week)$", re.IGNORECASE), 0, 7, 7, "days of the week"),
    (re.compile(r"(?:^|[^a-z])month$|month_of_year", re.IGNORECASE), 1, 12, 12, "months"),
)
"""Pattern, least and greatest value, period, and what it is."""
PERSONAL = re.compile(
    r"(?:^|[^a-z])(?:e[-_ ]?mail|phone|telephone|mobile|fax|first[-_ ]?name|last[-_ ]?name|full[-_ ]?name|surname|"
    r"forename|birth[-_ ]?name|customer[-_ ]?name|name|vorname|nachname|ssn|social[-_ ]?security(?:[-_ ]?number)?|iban|"
    r"passport|street|address|adresse|ip[-_ ]?address|licen[cs]e[-_ ]?plate)(?:$|[^a-z])",
    re.IGNORECASE,
)
COUNT = re.compile(r"(?:^|[^a-z])(?:count|counts|cnt|num|n)(?:$|[^a-z])|number of|^num", re.IGNORECASE)
"""How many of something: small numbers too are quantities."""
LABEL = re.compile(
    r"label|target|class|churn|default|outcome|surviv|status|fraud|response|converted|clicked|diagnosis|arrest|^y$|"
    r"price|cost|amount|revenue|sales|demand|score|rating|quality|delay|duration|progression",
    re.IGNORECASE,
)
"""What people predict."""
