"""Part of each text in jmer that prints a remedy, and the test that types what it says;
or why none does."""

DATA = "test_remedies_data.py::test_"
RUNS = "test_remedies.py::test_"
MISTYPED = "test_remedies_typed.py::test_"
MENDED = "test_remedies_damage.py::test_"
OPTION = f"{DATA}an_option_is_named_as_the_command_knows_it"
CHANGED = f"{DATA}a_changed_set_is_prepared_by_its_whole_recipe"
DAMAGED = f"{DATA}a_prepared_set_that_is_damaged"
MARKS = f"{DATA}landmarks_that_changed_or_lack_a_clip"
LIST = f"{RUNS}a_folder_is_no_experiment"
UNFINISHED = f"{RUNS}a_run_that_is_not_finished_or_none"
FOREIGN = f"{RUNS}a_folder_of_something_else"
AUDIT = f"{MISTYPED}the_audit_says_what_goes_with_what"
BUNDLE = "test_bundle.py::test_"
GIVEN = "test_given_places.py::test_"
FOLDER = "test_folder_mistakes.py: what errors tell to type"
FOLDER_NAMES = "test_folder_mistakes.py::test_"
LISTS_CLIPS = "test_folder_begun.py::test_"
EXTRA = (
    "test_remedy_list.py::test_pip_is_told_of_extras_that_are_there: nothing is "
    "installed, as tests have no network, but each extra is there"
)
IMPORTED = "test_importers.py::test_"
BY_SET = "test_by_set.py::test_the_command_line_says_which_sets_there_are"
LISTED = "test_listed.py::test_the_command_line_says_what_to_give"
CHANGED_LIST = "test_changed_lists.py::test_"
CHANGED_LISTS = f"{CHANGED_LIST}lists_elsewhere_are_named"
PYTHON = "test_notebook.py::test_"
FED = "test_streamed.py::test_own_batches_of_such_a_set_are_refused"
PINNED = "test_streamed.py::test_a_stream_of_own_batches_is_refused_by_its_options"
RECORDINGS = "test_native.py::test_what_is_said_of_recordings_works_when_typed"
# Why nothing is typed.
HOSTS = "several processes at once: test_hosts.py and test_launcher.py start them"
DEVICE = "another device or driver: what is named is JAX's own, and CI has none"
TARGETS = "minutes of compiling for other machines: test_targets.py"
NO_REMEDY = "a rule, a note or a heading, and no remedy"

ASKED = "test_predict.py::test_"
FACES = "test_predict_faces.py::test_"

FITTED_UNITS = "test_baselines.py::test_action_units_are_fitted_one_by_one"
SPOTTERS = "test_spotters.py::test_a_run_is_spotted_as_that_of_a_network"
FITS = "test_baselines.py::test_what_errors_tell_to_type"
UNITS = "test_units_training.py::test_"
UNITS_ASKED = "test_units_asked.py::test_"
BY_CLASS = f"{UNITS}what_goes_by_class_is_refused_until_its_remedies_are_typed"

TYPED: list[tuple[str, str]] = [
    ("names in PyTorch that jmer knows", "test_own_typed.py::test_all_commands_take"),
    ("as networks of jmer have: leave", "test_own_typed.py::test_all_commands_take"),
    ("add --selection inner", f"{RUNS}inner_clips_that_nobody_can_spare"),
    (
        "and the PyTorch loop has none of it",
        "test_bench.py::test_what_the_torch_loop_has_not_is_refused",
    ),
    ("leave out --loss, or call", f"{RUNS}losses_that_a_network_cannot_have"),
    ("its own: leave out --loss", f"{RUNS}losses_that_a_network_cannot_have"),
    ("Leave out --loss.mixup", f"{RUNS}losses_that_a_network_cannot_have"),
    (
        "trainings for ",
        "test_session.py::test_a_chunk_wider_than_a_seed_has_folds_is_said",
    ),
    # Baselines.
    ("optim.gamma-among are chosen", FITS),
    ("there is nothing to choose: give --optim.c-among", FITS),
    ("the machines of a fold may keep", FITS),
    ("may show several action units: give --model.machines", FITTED_UNITS),
    (
        "frames at most: give --model.half",
        "test_spotters.py::test_a_run_is_spotted_as_that_of_a_network",
    ),
    # Predictions on videos.
    (
        "is there already, which is of no finished answer: choose another folder",
        f"{ASKED}an_answer_takes_nobody_elses_place",
    ),
    ("there already, and stays: choose", f"{ASKED}an_answer_about_another_video_stays"),
    (
        "end, or choose another folder with --out.",
        f"{ASKED}two_processes_do_not_share_a_folder",
    ),
    ("name a video, a folder of frames, or", f"{ASKED}a_video_or_a_camera_is_needed"),
    (
        "tells no intensity of frames; give",
        f"{ASKED}a_spotter_finds_what_another_names",
    ),
    ("cannot be opened ({reason}). Close", "a camera, which CI has none of"),
    ("Nothing was spotted: the network", f"{ASKED}a_spotter_finds_what_another_names"),
    (
        "Nothing was spotted: each window",
        f"{UNITS_ASKED}who_spots_for_units_is_told_and_does",
    ),
    ("video is seen at {rate} frames", f"{ASKED}what_is_advised_works_when_typed"),
    ("{most} faces: {whose} is followed", f"{FACES}of_two_faces_one_is_chosen"),
    ("where it was first looked. Give a number", f"{FACES}of_two_faces_one_is_chosen"),
    ("--seed {seed}: {self.run", f"{ASKED}options_that_cannot_be_are_refused"),
    ("--fold {fold}: {self.run", f"{ASKED}one_fold_is_one_training"),
    ("--member {member}: must be", "in Python: the parser has the one name"),
    ("have no score on inner clips", f"{ASKED}the_best_on_inner_clips_is_one_training"),
    ("choose another folder with --out", f"{ASKED}what_is_advised_works_when_typed"),
    ("change that with --rate", f"{ASKED}what_is_advised_works_when_typed"),
    ("which jmer does not make of frames: it", NO_REMEDY),
    (
        "does not say when they are shown: add",
        f"{ASKED}a_folder_of_frames_and_one_of_videos",
    ),
    ("The trainings disagree on how", f"{ASKED}trainings_that_disagree_are_told"),
    (
        "Images have 16 bits a value",
        f"{ASKED}images_of_twelve_bits_in_sixteen_are_read_as_such",
    ),
    # How a run is laid out.
    ("learns from statistics of whole batches", "test_saving.py, in Python"),
    # The networks of the demonstration.
    (
        "networks of the demonstration did not come",
        "test_demo.py::test_the_command_makes_them",
    ),
    (
        "holds footage of other options",
        "test_demo.py::test_videos_of_other_options_are_named",
    ),
    ("# The networks of `jmer predict demo`", NO_REMEDY),
    ("On synthetic people alone.", NO_REMEDY),
    ("jmer run demo/{name}", NO_REMEDY),
    # Sets of clips.
    ("{data_option('source', 'cropped')} or ", "test_faces.py, with the detector"),
    ("no face was found", "test_faces.py, with the detector"),
    ("files begin with frame {begin}", f"{DATA}files_that_begin_with_0"),
    ("no row of clip {clip.row.title}", MARKS),
    ("landmarks file {path} does not exist", MARKS),
    ("with subjects in {base}", f"{DATA}another_source"),
    (", or choose another {data_option(field)}", f"{DATA}another_source"),
    ("They are there with", f"{DATA}a_folder_too_low"),
    ("shows nothing: all", f"{DATA}a_blank_frame_is_left_out_with_its_clip"),
    ("no annotation sheet", f"{DATA}sheets_that_are_two_or_none"),
    ("annotation sheets in {root}", f"{DATA}sheets_that_are_two_or_none"),
    ("no clip is left for", f"{DATA}what_has_no_classes_left"),
    ("no clip has min_frames", f"{DATA}too_few_frames"),
    (", or choose {data_option('missing_apex'", OPTION),
    (", or choose {data_option('missing_frames'", OPTION),
    ("has one frame, {number}", OPTION),
    ("{row.title}: excluded (--exclude)", NO_REMEDY),
    ("that stride keeps one, in which", RECORDINGS),
    ("clips have more than frames=", RECORDINGS),
    ("have no frame before the onset", RECORDINGS),
    ("--protocol is given twice", "test_experiments.py: what is said"),
    ("no clip is called", f"{DATA}clips_to_exclude_have_names"),
    ("without {what}", OPTION),
    (" as in `{command}`", f"{DATA}a_run_says_what_to_run"),
    (" (and {more} more: ", f"{DATA}several_problems_and_their_commands"),
    (
        "--data.manual-dir DIR (--manual-dir DIR for",
        "in Python: test_megc2019_flow28.py",
    ),
    ("and no source is given", f"{DATA}a_set_without_its_source"),
    ("If it lies elsewhere, say so", f"{DATA}a_set_that_a_reader_does_not_find"),
    ("has changed since {builder.data_dir}", CHANGED),
    ("Delete that folder, then prepare it again", DAMAGED),
    ("cannot be read ({error}). Prepare it again", DAMAGED),
    ("is not the file that {builder.data_dir}", MARKS),
    ("without --no-wait, this command waits", "test_lock.py: two processes"),
    ("more (--all shows them)", f"{DATA}all_problems_are_shown"),
    ("more than {bits} bits can hold", f"{DATA}bits_that_are_not_clear"),
    ("bits, as {", NO_REMEDY),
    (
        "has no sheet {self.sheet}",
        "test_long_sets.py: what is said; a workbook is kept",
    ),
    ("is no part of a prepared set", f"{DATA}what_else_lies_in_a_prepared_set"),
    ("there is no home directory", f"{DATA}a_machine_without_a_home"),
    # Runs and their folders.
    ("is a file: choose another with --run-dir", FOREIGN),
    ("has files but no {DESCRIPTION}", FOREIGN),
    ("{folder} is the run of another", f"{RUNS}another_experiment_in_a_folder"),
    ("has files but no {SWEEP}", f"{RUNS}sweeps"),
    ("is another sweep, with a cell", f"{RUNS}sweeps"),
    ("--cells chooses among", f"{RUNS}sweeps"),
    ("--wait does), stop it", "test_lock.py: two processes"),
    ("since that folder does not exist", UNFINISHED),
    ("`jmer run FILE --run-dir {shlex.quote(str(home))}`", UNFINISHED),
    (
        "the files beside it are of another",
        f"{MENDED}a_damaged_description_has_a_remedy_that_ends_it",
    ),
    ("is not what jmer drew there", "test_looks.py: what is said is no command"),
    ("is not the figure that jmer drew", "test_looks.py removes it"),
    ("kept, for jmer did not write it", NO_REMEDY),
    ("Give the folder that `jmer run` wrote", UNFINISHED),
    ("keeps its own report", UNFINISHED),
    ("shows those that come with jmer", LIST),
    ("{what}, but a run: give the file", LIST),
    ("every task diverged", f"{RUNS}all_that_diverges"),
    ("was begun with XLA_FLAGS", f"{MENDED}a_run_that_other_flags_began"),
    ("All of it: add --out FOLDER", "test_terminal.py: the report is in that folder"),
    ("or with --engine.data resident", FED),
    ("{needs} sampling=balanced draws", PINNED),
    ("{needs} batches=own are of", PINNED),
    ("Lower --batch-size, or raise", f"{RUNS}a_task_that_is_too_large"),
    ("--selection last.", f"{RUNS}inner_clips_that_nobody_can_spare"),
    ("--inner-unit clip or ", f"{RUNS}inner_clips_that_nobody_can_spare"),
    ("--selection inner", f"{RUNS}options_that_make_no_difference"),
    ("Or run with --batches own", "test_canary.py"),
    ("is not the same twice", DEVICE),
    ("the device has no room left", DEVICE),
    ("NVIDIA driver is too old", DEVICE),
    ("cannot write checkpoint", "test_checkpoint.py: full disks, and the run goes on"),
    ("restore it from a copy, or choose another", f"{MENDED}what_was_edited"),
    ("was edited or damaged, and does not say", f"{MENDED}what_was_edited"),
    ("was changed after jmer wrote it", NO_REMEDY),
    ("changed after jmer wrote it, or of another", NO_REMEDY),
    ("the files are those that jmer wrote", NO_REMEDY),
    ("is not what jmer wrote there", "test_corruption.py: what is said of each file"),
    ("their report could not be written", f"{MENDED}a_report_that_failed"),
    ("puts them into the report of the run", "test_explain.py: the report has them"),
    ("AUC of {record['frames']}", "test_spot.py: the report has it"),
    ("add --import {shlex.join(ways)} (in", f"{RUNS}a_set_of_the_experiment_file"),
    ("--import {name} fails", "test_own_set.py: the file is corrected"),
    ("jmer has one of that name", NO_REMEDY),
    ("`jmer {group} COMMAND --help` explains", "a usage, which test_startup.py types"),
    ("which this jmer does not know", NO_REMEDY),
    ("--import {name}: it cannot be", "test_own_set.py: the module is on the path"),
    (
        "holds neither imported weights",
        "names of commands: test_importers.py types them",
    ),
    ("checkpoints, {', '.join", f"{IMPORTED}each_fold_has_a_folder"),
    ("classes, but {len(classes)} ", f"{IMPORTED}classes_can_be_named"),
    (
        "the arrays of several networks",
        f"{IMPORTED}two_networks_in_a_file_are_refused_until_one_is_chosen",
    ),
    (
        "does not tell all of its network",
        "test_hsta.py::test_checkpoints_are_imported_as_their_authors_save_them",
    ),
    ("is one data set, {quoted(names[0])}", BY_SET),
    ("name the data sets to test on, as", BY_SET),
    (
        "the page is one file; name it, as in",
        "test_leaderboard.py::test_words_that_make_no_board",
    ),
    ("are small sizes (--small), and no results", NO_REMEDY),
    ("no score is called so", "test_meta.py::test_words_that_are_no_runs"),
    ("protocol.lists: give the folder", LISTED),
    ("name a copy of that with --lists", CHANGED_LISTS),
    ("--lists goes with a run directory", CHANGED_LISTS),
    ("was not made from lists of folds", f"{CHANGED_LIST}a_run_without_lists_has_none"),
    ("({shown}). Prepare the set with them, or", LISTED),
    ("and is not asked: all others train", LISTED),
    ("fold, or leave out --protocol.apart", "test_told_lists.py: what is left out"),
    ("nothing says who trains in fold {name}", LISTED),
    ("names none of {counted(len(left)", LISTED),
    ("makes such a folder", "names of a command: test_importers.py types it"),
    ("are not trained and have no values", "test_visual_memory.py: what is said"),
    ("and no intensity, so nothing", "test_spot.py: a network that tells it"),
    ("was trained in another way: {difference}", "test_pretrain.py: what is said"),
    ("Delete it and choose a smaller --lr", "test_pretrain.py: what is said"),
    ("that `jmer pretrain` wrote, or is damaged", "test_pretrain.py: what is said"),
    (
        "or a file of `jmer pretrain magnet`",
        "hours: test_pretrain.py trains such a file",
    ),
    ("no {votes.TABLE} in", "test_fer2013.py: votes that are not there"),
    ("aman takes the weights", "test_aman_fields.py: what is said"),
    ("is not given: give {what} as", f"{MISTYPED}what_aman_can_do_without"),
    ("were trained with --{typed_as}", "test_pretrain_motion.py: what is said"),
    # Whole commands, and how they are used.
    ("explains them all", f"{MISTYPED}a_mistake_of_options_is_one_line"),
    ("`jmer {command} FILE --help`", f"{MISTYPED}commands_that_need_a_file_say_so"),
    ("`jmer {command} NAME --help`", f"{MISTYPED}commands_that_need_a_file_say_so"),
    ("what to list comes first", f"{MISTYPED}commands_that_need_a_file_say_so"),
    (
        "the name of an experiment comes first",
        f"{MISTYPED}a_copy_beside_one_that_is_there",
    ),
    ("edit it, then `{command}`", f"{MISTYPED}a_copy_beside_one_that_is_there"),
    ("is there already, and stays", f"{MISTYPED}a_copy_beside_one_that_is_there"),
    ("  jmer run {path}", f"{MISTYPED}lists_fit_80_columns_and_say_all"),
    ("jmer run {re.escape(options.name)}", NO_REMEDY),
    ("jmer audit needs one of", AUDIT),
    ("--stated goes with", AUDIT),
    ("--columns goes with", AUDIT),
    ("--data-dir and --manual-dir go with", AUDIT),
    ("Choose one with --columns", AUDIT),
    ("has no column {chosen", AUDIT),
    ("{path} names no clips", "test_audit_foreign.py: what is said"),
    (
        "jmer bench needs an experiment file",
        f"{MISTYPED}commands_that_need_a_file_say_so",
    ),
    ("jmer report needs one or more", f"{MISTYPED}commands_that_need_a_file_say_so"),
    ("--other-data goes with", f"{MISTYPED}commands_that_need_a_file_say_so"),
    ("--rounds {options.rounds}", NO_REMEDY),
    ("--packs {' '.join", NO_REMEDY),
    ("--json {file} is a folder", NO_REMEDY),
    ("were trained in this run as well", "test_audit.py: what is said"),
    ("--{name} must be at least", NO_REMEDY),
    ("Try another machine, or a smaller --batch-size", f"{TARGETS}: what is said"),
    ("--packs {len(lighter.work.tasks)} would", "test_elsewhere.py: it is compiled"),
    ("have no program in common: of one", "test_beside_estimates.py: what is said"),
    ("write PLACE.json and PLACE.md for --target", NO_REMEDY),
    ("a table of --target, then measurements", NO_REMEDY),
    ("--estimates needs a table", "test_beside_estimates.py: what is said"),
    ("what jmer bench FILE --json OUT timed", NO_REMEDY),
    ("what compilers say (jmer bench FILE --target", NO_REMEDY),
    ("--lowerings {quoted(name)}", NO_REMEDY),
    ("Try --chunks", f"{TARGETS}: what is said"),
    ("Try --packs {len(lighter", f"{TARGETS}: what is said"),
    ("--devices {most}: ", f"{TARGETS}: what is said"),
    ("--target compiles and times nothing", f"{TARGETS}: what is said"),
    ("times one experiment; with --target", NO_REMEDY),
    ("--target {name}: ", NO_REMEDY),
    ("--target {quoted(name)}: ", NO_REMEDY),
    ("as of `jmer run`", NO_REMEDY),
    ("usage: jmer COMMAND", "test_startup.py"),
    ("Ours is there once `jmer spot RUN`", "test_spot.py"),
    ("as `jmer spot` drew it", NO_REMEDY),
    ("numbered, or seconds (--times seconds)", NO_REMEDY),
    (", or leave {data_option('manual_dir')} out to use", CHANGED),
    ("Fill in a column fps, or give", FOLDER),
    ("a folder that has all clips, and write", FOLDER),
    ("if these are numbers of frames", FOLDER),
    ("`jmer data new folder` writes one", FOLDER),
    ("there is no table {typed}: give the file", FOLDER),
    (" is a folder: give the table in it", FOLDER),
    ("Say how columns are called with", FOLDER),
    (
        "are both clip {row.title}",
        f"{FOLDER_NAMES}two_files_of_one_name_are_no_duplicate",
    ),
    ("no row of {data.table} is of", FOLDER),
    ("is there already, and stays: choose another with --out", FOLDER),
    (
        "stays. Choose another place with --out",
        f"{GIVEN}what_is_not_the_commands_stays",
    ),
    (
        "whose names count them. Give the folder",
        f"{LISTS_CLIPS}a_folder_without_clips_is_no_table",
    ),
    # Bundles.
    ("or export the run again with `jmer export`", f"{BUNDLE}a_place_is_kept"),
    ("it is no bundle. `jmer export RUN", f"{BUNDLE}a_folder_that_is_no_bundle"),
    ("is a run, and no bundle. `jmer export", f"{BUNDLE}a_run_is_no_bundle"),
    ("install the one that wrote it", "another version: test_bundle.py has the words"),
    ("was made by jax {made}, and jax", "another JAX: test_bundle.py has the words"),
    ("Choose another --fold", f"{BUNDLE}what_diverged_is_left_out"),
    ("Leave --onnx out.", f"{BUNDLE}what_onnx_lacks_is_named"),
    ("onnxruntime differs from JAX by", f"{BUNDLE}what_onnx_lacks_is_named"),
    # Labels that are sets of action units.
    (
        "has predictions of action units",
        f"{UNITS}predictions_of_units_are_no_table_of_classes",
    ),
    (
        "so nothing can learn it. Leave it out",
        f"{UNITS}units_that_no_clip_shows_can_be_left_out_as_is_said",
    ),
    ("and sets of action units are no classes", BY_CLASS),
    ("sets of action units. Take a run of the", f"{UNITS}what_needs_classes_says_so"),
    (
        "put each data set into a folder of that name",
        "test_cd6me.py::test_a_set_that_is_not_there_is_named",
    ),
    # What is not installed, or elsewhere.
    ("pip install 'jmer[", EXTRA),
    # Runs from Python, and small ones.
    ("jmer.run takes an Experiment", "test_notebook.py::test_mistakes_are_one_line"),
    ("is a sweep of {len(sweep.cells)} runs", f"{RUNS}sweeps"),
    ("--{option(part)}{dot}", f"{PYTHON}fields_are_replaced"),
    ("--{option(name)}", f"{PYTHON}fields_are_replaced"),
    ("A small size (--small)", NO_REMEDY),
    ("Give a --run-dir on a file system", HOSTS),
    ("--num-processes and --process-id", HOSTS),
    ("--process-id={process_id} must be", HOSTS),
    ("--num-processes={num_processes} must be", HOSTS),
    ("--alone and {BY_HAND} exclude", HOSTS),
    ("If this process was started alone", HOSTS),
    ("it needs another --coordinator", HOSTS),
    ("give the same --num-processes", HOSTS),
    ("give each a --process-id", HOSTS),
    ("each with a --process-id of its own", HOSTS),
    ("--coordinator {host}:PORT", HOSTS),
    ("--coordinator {self.launch.host}:PORT", HOSTS),
    ("or wait longer with --meeting-seconds", HOSTS),
    ("processes have come to {launch.address}", HOSTS),
    ("give a --coordinator HOST:PORT of the machine", HOSTS),
    ("Give another --coordinator", HOSTS),
    # Words of other programs, or of these texts.
    ("--short=12", NO_REMEDY),
    ("which jmer does not offer", NO_REMEDY),
    ("weights that jmer can read", NO_REMEDY),
    ("in PyTorch that jmer knows", NO_REMEDY),
]
