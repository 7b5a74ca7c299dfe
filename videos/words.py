"""What the scripts of the recorder and the studio say, translated on the server and handed over with json_script.

Words in braces are filled in by the scripts.
"""

from typing import Any

from django.utils.translation import gettext as _


def recorder_words() -> dict[str, Any]:
    """Return the words of static/js/recorder/: what is said aloud, where the take is saved, and each thing that can go wrong."""
    return {
        "countdown": _("Recording starts in 3 seconds."),
        "recording": _("recording"),
        "paused": _("paused"),
        "resumed": _("recording again"),
        "listening": _("Say something: the bars should move."),
        "hear": _("We hear you"),
        "deaf": _("We cannot hear you. Is the right microphone chosen?"),
        "soundless": _("This take has no sound: no microphone is used."),
        "microphoneOff": _(
            "Your microphone is muted, by its switch or by the system. Nothing is heard until it is switched on."
        ),
        "cameraOff": _("The camera gives no picture. Open its cover, or switch it on again; the recording can go on."),
        "cameraOn": _("The camera gives a picture again."),
        "microphoneOn": _("The microphone is switched on again."),
        "left": _("{time} left"),
        "said": _("What the browser said: {name}"),
        "finishing": _("Your recording is being handed over …"),
        "offline": _(
            "There is no connection. Your recording is safe on this computer, and is handed over as soon as the connection is back."
        ),
        "offlineMemory": _(
            "There is no connection. Keep this page open: your recording is handed over as soon as the connection is back."
        ),
        "trouble": _(
            "The server has a fault at the moment. It is tried again and again; you can also download the recording."
        ),
        "defaultCamera": _("Camera"),
        "defaultMicrophone": _("Microphone"),
        "noMicrophone": _("No microphone"),
        "saved": {
            "here": {
                "both": _("Saved here and on the server"),
                "sending": _("Saved here, {n} s still to be sent"),
                "waiting": _("Saved here, will upload"),
                "refused": _("Saved here only. {why}"),
            },
            "memory": {
                "both": _("On the server. This browser has no room to save it as well."),
                "sending": _("In memory only, {n} s still to be sent. Keep this page open."),
                "waiting": _("In memory only, will upload. Keep this page open."),
                "refused": _("In memory only. Download it after Stop. {why}"),
            },
            "whole": _("In memory until you press Stop: this browser cannot save earlier."),
        },
        "kept": kept_words(),
        "refusals": {
            "signedOut": {
                "short": _("You are signed out: sign in again after Stop."),
                "title": _("You are signed out"),
                "text": _("Your recording is kept on this computer. Sign in again: the studio offers it to you."),
                "memory": _(
                    "This browser could not keep your recording. Download it first, then sign in again and upload the file."
                ),
                "button": _("Sign in again"),
            },
            "stale": {
                "short": _("This page is out of date: reload it after Stop."),
                "title": _("This page is out of date"),
                "text": _(
                    "Most likely you signed in again in another tab. Reload this page; your take is kept on this computer, and "
                    "the studio offers it to you."
                ),
                "memory": _(
                    "Most likely you signed in again in another tab. This browser could not keep your recording: download it "
                    "first, then reload this page and upload the file."
                ),
                "button": _("Reload"),
            },
            "silent": {
                "short": _("The server refused it (HTTP {status})."),
                "text": _(
                    "It gave no reason (HTTP {status}). If it happens again, tell your administrator this number."
                ),
            },
        },
        "errors": error_words(),
    }


def kept_words() -> dict[str, dict[str, str]]:
    """Return the words for a take that ended without anybody pressing Stop, for each reason."""
    return {
        "limit": {
            "title": _("The longest recording allowed here is reached"),
            "text": _("The recording was stopped. Nothing is lost; kept: {length}."),
        },
        "camera": {
            "title": _("The camera was lost"),
            "text": _("It was unplugged, or another program took it. The recording until then is kept: {length}."),
        },
        "microphone": {
            "title": _("The microphone was lost"),
            "text": _("It was unplugged, or another program took it. The recording until then is kept: {length}."),
        },
        "browser": {
            "title": _("The browser stopped recording"),
            "text": _("It could not record any further. The recording until then is kept: {length}."),
        },
    }


def error_words() -> dict[str, dict[str, Any]]:
    """Return title, text and steps for each error of the camera, by the name the browser gives it."""
    again = _("Try again.")
    return {
        "NotAllowedError": {
            "title": _("The browser may not use your camera"),
            "text": _("You, or a rule of your organization, said no to camera and microphone for this page."),
            "steps": [
                _("Click the camera or lock sign beside the address of this page."),
                _("Allow camera and microphone."),
                _("Come back and try again."),
            ],
        },
        "NotFoundError": {
            "title": _("No camera was found"),
            "text": _(
                "Pitch needs a camera to record. The one of this computer may be switched off or covered by a rule."
            ),
            "steps": [_("Plug a camera in, or switch it on at the side of the laptop."), again],
        },
        "NotReadableError": {
            "title": _("Another app is using your camera"),
            "text": _("Your browser may use the camera, but something else holds it. Most often it is a meeting."),
            "steps": [
                _("Leave the call in Teams, Zoom or Meet, or turn its camera off."),
                _("Close other tabs that show your picture."),
                _("Come back and try again."),
            ],
        },
        "OverconstrainedError": {
            "title": _("The camera you used last is not there"),
            "text": _("Try again to use another one."),
            "steps": [],
        },
        "SecurityError": {
            "title": _("This page may not use a camera"),
            "text": _(
                "Browsers give the camera only to secure pages. Open Pitch by its https address, or on the computer it runs on."
            ),
            "steps": [],
        },
        "NoRecorder": {
            "title": _("This browser cannot record"),
            "text": _(
                "Use a current Chrome, Edge, Firefox or Safari, or upload a video you made with another program."
            ),
            "steps": [],
        },
        "CameraEnded": {
            "title": _("The camera was switched off"),
            "text": _("It was unplugged, or another program took it."),
            "steps": [_("Plug it in again, or leave the call that uses it."), again],
        },
        "MicrophoneEnded": {
            "title": _("The microphone was switched off"),
            "text": _("It was unplugged, or another program took it."),
            "steps": [_("Plug it in again, or try again with another one."), again],
        },
        "NotStarted": {
            "title": _("The recording could not be started"),
            "text": _("Your camera works, but the browser refused to record from it. Nothing was recorded."),
            "steps": [
                again,
                _("Choose another camera or microphone."),
                _("Restart the browser if it stays like this."),
            ],
        },
        "Empty": {
            "title": _("Nothing was recorded"),
            "text": _("The recording ended before the browser gave a single picture."),
            "steps": [again, _("Restart the browser if it stays like this.")],
        },
        "Refused": {
            "title": _("The server did not take the recording"),
            "text": "",
            "steps": [_("Download it, so that nothing is lost."), _("Try again, or upload the file later.")],
        },
        "Unknown": {
            "title": _("The camera could not be opened"),
            "text": _("The browser did not say why."),
            "steps": [again, _("Restart the browser if it stays like this.")],
        },
    }


def upload_words() -> dict[str, Any]:
    """Return the words of static/js/studio.js: an upload's progress, refusals, and a take that waits."""
    return {
        "progress": _("{name}: {done} of {total} MB"),
        "finishing": _("Nearly there …"),
        "tooLarge": _(
            "{name} has {size} MB; at most {limit} MB can be uploaded here. Choose a shorter video or a smaller resolution."
        ),
        "notVideo": _("{name} does not look like a video. Choose an MP4, MOV, WebM, MKV or AVI file."),
        "waiting": _("The connection is gone. The upload goes on when it is back."),
        "trouble": _(
            "The server has a fault at the moment. The upload is tried again and again; leave this page open."
        ),
        "failed": _("The upload was refused: {why}"),
        "canceled": _("The upload was canceled."),
        "unsent": _("A recording is waiting: {length}, {when}."),
        "refusals": {
            "signedOut": _("You are signed out. Sign in again, then start again."),
            "stale": _(
                "This page is out of date, most likely because you signed in again in another tab. Reload it, then start again."
            ),
            "silent": _(
                "The server gave no reason (HTTP {status}). If it happens again, tell your administrator this number."
            ),
        },
    }
