// Gives the reviewer a name: on the page that an invitation opens, and in the menu of the review page.

for (const form of document.querySelectorAll("form.join")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = { name: form.elements.name.value, token: form.dataset.token ?? "" };
    const answer = await post(body);
    if (answer.ok) location.assign("/");
    else form.querySelector(".error").textContent = (await answer.json()).error;
  });
}

function post(body) {
  return fetch("/join", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}
